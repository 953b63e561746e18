/** What replication has done since the process started. Only ever counted up, but for `copiesHolding` and times. */
export type ReplicationCounts = {
  transactions: number
  rows: number
  operations: number
  /** That storage has taken, slices too. */
  deltas: number
  rowsCopied: number
  rowsUnidentified: number
  reconnects: number
  /** Copies that keep clients from seeing anything newer; now. */
  copiesHolding: number
  /** When clients could last see a newer state, in milliseconds since 1970; undefined: not yet. */
  lastShownAtMs: number | undefined
}

export function zeroCounts(): ReplicationCounts {
  return {
    transactions: 0,
    rows: 0,
    operations: 0,
    deltas: 0,
    rowsCopied: 0,
    rowsUnidentified: 0,
    reconnects: 0,
    copiesHolding: 0,
    lastShownAtMs: undefined,
  }
}
