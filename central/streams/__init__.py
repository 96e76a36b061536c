"""What came in, as it came: streams, their evidence, and the blocks that seal it."""
