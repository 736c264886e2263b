"""Parts of the task `onset`: definitions of diseases, what meets them, and moments to ask."""
