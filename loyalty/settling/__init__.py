"""What movements of points come to in money between partners."""
