/**
 * The operator for distances between rows.
 * @module
 */

/** The operator's name and domain. */
export const DISTANCES = { opType: "CDist", domain: "com.microsoft" } as const;
