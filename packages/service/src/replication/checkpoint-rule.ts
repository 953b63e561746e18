import type { Lsn } from '../postgres/lsn.ts'

export type CheckpointRule = {
  /** First copies, and copies of tables with incomplete rows, that are still running. */
  readonly openCopies: number
  /** Where the log stood when the last of those ended; only past it do copy and log agree. */
  readonly notBefore: Lsn
  /** The newest state that clients have already seen. */
  readonly lastShown: Lsn
}

/** May clients see everything up to `at`? Only a state that existed in the source, and never an older one than before. */
export function mayShow(rule: CheckpointRule, at: Lsn): boolean {
  return rule.openCopies === 0 && at >= rule.notBefore && at >= rule.lastShown
}
