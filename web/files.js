/** The bytes of every file of the page; filled in by build.py. */
export const FILES = %FILES%;
