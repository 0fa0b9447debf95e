"""The pages of loop: above all rooms; a page may read from any of them and posts to one."""
