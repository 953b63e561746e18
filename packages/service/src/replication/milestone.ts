import { type Lsn, LSN_ZERO } from '../postgres/lsn.ts'

/** A place in the log, of which one may learn that it was passed before it is known where it is. */
export type Milestone = {
  readonly set: (place: Lsn) => void
  /** Everything up to there is stored. Positions grow. */
  readonly pass: (storedTo: Lsn) => void
  readonly passed: Promise<void>
}

export function createMilestone(): Milestone {
  const { promise, resolve } = Promise.withResolvers<void>()
  let place: Lsn | undefined
  let storedTo = LSN_ZERO
  const check = (): void => {
    if (place !== undefined && storedTo >= place) resolve()
  }
  return {
    passed: promise,
    set: (where) => {
      place = where
      check()
    },
    pass: (where) => {
      storedTo = where
      check()
    },
  }
}
