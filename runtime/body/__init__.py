"""Body: where people are in the picture, how they stand and what they do, found beside the frame path."""
