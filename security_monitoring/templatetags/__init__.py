"""What templates of panels may use."""
