"""What a kernel is: hooks, requests and replies. It knows no socket and no thread."""
