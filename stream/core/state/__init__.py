"""What a pool is: tables of columns, names of ids, and what follows from them."""
