"""The command: a worker as `allocator worker` runs it, suffering what the environment says."""

from load.planted.suffering import main

if __name__ == "__main__":
    main()
