"""What customers will do next: still active or not, how many orders, how much money."""
