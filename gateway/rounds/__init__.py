"""What goes on by itself, beside the request path: each a loop or a clock that a crash may stop anywhere."""
