/** Time, as replication takes it in. */
export type Clock = {
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** Resolves after `delayMs`, or when `signal` aborts. Never rejects. */
  readonly wait: (delayMs: number, signal: AbortSignal) => Promise<void>
}
