"""What tills send: taken in, kept out, posted later."""
