/** What `pg_current_snapshot()` says: which transactions a SELECT could see. */
export type Visibility = {
  /** Every transaction below is over. */
  readonly xmin: bigint
  /** No transaction from here on can be seen. */
  readonly xmax: bigint
  /** Between the two, those that were still running. */
  readonly running: ReadonlySet<bigint>
}

/** Reads `10:20:10,14,15`. */
export function parseVisibility(text: string): Visibility {
  const [xmin = '0', xmax = '0', running = ''] = text.split(':')
  return {
    xmin: BigInt(xmin),
    xmax: BigInt(xmax),
    running: new Set(running === '' ? [] : running.split(',').map(BigInt)),
  }
}

const HALF = 0x8000_0000n
const WHOLE = 0x1_0000_0000n

/** The 64-bit id of the transaction whose low 32 bits are `xid`, which the log carries, nearest to `near`. */
export function widenXid(xid: number, near: bigint): bigint {
  const candidate = near - (near % WHOLE) + BigInt(xid)
  if (candidate > near + HALF && candidate >= WHOLE) return candidate - WHOLE
  return candidate + HALF < near ? candidate + WHOLE : candidate
}

/**
 * Could the SELECT see the transaction? The log delivers a transaction when its commit is flushed; other sessions see
 * it only after the standby answered, where replication is synchronous. So a row that is read "because the log just
 * told us" may still be the old one.
 */
export function isVisible(visibility: Visibility, xid: number): boolean {
  const wide = widenXid(xid, visibility.xmax)
  return wide < visibility.xmin || (wide < visibility.xmax && !visibility.running.has(wide))
}
