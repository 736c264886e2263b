"""What the tasks about stays share: stays and how they ended, and what happens within a window of days."""
