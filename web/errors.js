/** What went wrong, in one sentence for the visitor. */
export class ShownError extends Error {}
