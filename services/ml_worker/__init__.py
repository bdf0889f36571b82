"""Image -> ML reading."""
