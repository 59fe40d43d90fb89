"""The commands of `allocator`, one file each, and what several of them share."""
