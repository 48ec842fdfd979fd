"""`python -m servewell`: how the platform starts its own processes."""

from servewell.wiring import main

if __name__ == "__main__":
    main()
