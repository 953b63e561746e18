import type { Clock } from '../clock.ts'
import type { WriteCheckpointNumber } from '../connector.ts'
import type { Logger } from '../logger.ts'
import type { SqlDatabase } from '../sqlite/sql-database.ts'
import { Reminder } from './reminder.ts'
import { Uploader } from './uploader.ts'
import type { UploadStatus } from './uploader.ts'
import { WriteCheckpoints } from './write-checkpoints.ts'
import type { WriteCheckpointParts } from './write-checkpoints.ts'

export type UploadsParts = Omit<WriteCheckpointParts, 'sql'> & {
  readonly sql: SqlDatabase
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly retryDelayMs: number
  readonly throttleMs: number
  readonly uploadData: () => Promise<WriteCheckpointNumber | void>
  readonly onStatus: (status: UploadStatus) => void
  readonly onCountsAnew: () => Promise<void>
  readonly onCompleted: () => void
}

/** The way up, from the queue to the number by which the writes come back. */
export type Uploads = {
  /** Something was written. */
  readonly noteWrite: () => void
  /** The stream is connected. */
  readonly noteConnected: () => void
  /** There is reason to think that what failed works now. */
  readonly retryNow: () => void
  /** Resolves when nothing runs any more. */
  readonly ended: Promise<void>
}

/** Runs until `signal` aborts. */
export function startUploads(parts: UploadsParts, signal: AbortSignal): Uploads {
  const checkpoints = new WriteCheckpoints(parts)
  const reminder = new Reminder({ ...parts, checkpoints, onGivenUp: () => uploader.trigger() })
  const uploader = new Uploader({
    ...parts,
    askWriteCheckpoint: (stopped) => checkpoints.ask(stopped),
    onAsked: () => reminder.noteAsked(),
  })
  const ended = Promise.all([uploader.run(signal), reminder.run(signal)]).then(() => undefined)
  return {
    noteWrite: uploader.noteWrite,
    noteConnected: () => {
      reminder.noteConnected()
      // The service answers again, so what kept uploads back may be over as well: no use sitting out a long pause.
      uploader.retryNow()
    },
    retryNow: uploader.retryNow,
    ended,
  }
}
