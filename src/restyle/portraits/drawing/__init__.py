"""The renderer of portraits: drawings in two styles from attributes."""
