import type { Lsn } from '../postgres/lsn.ts'
import type { Marker } from '../postgres/marker.ts'
import type { RowMessage, WalMessage } from '../postgres/pgoutput.ts'

/** Changes that are applied and stored together: whole transactions, or a slice of a large one. */
export type ChangeBatch = {
  readonly messages: readonly RowMessage[]
  /** In log order; the first may have begun in an earlier slice. */
  readonly transactions: readonly BatchTransaction[]
  /** Our own messages in these transactions. */
  readonly markers: readonly Marker[]
  /** End of the last transaction; undefined for a slice of one that goes on. */
  readonly resume: Lsn | undefined
  /** Commit time of the last transaction, by the source's clock; undefined for a slice. */
  readonly committedAtMs: number | undefined
  readonly bytes: number
}

export type BatchTransaction = {
  readonly xid: number
  /** Index of its first message; it goes on to the next one's. */
  readonly firstMessage: number
}

export type BatchLimits = {
  readonly bytesMax: number
  readonly rowsMax: number
  /** How long the first transaction of a batch waits for more: as long as the batch before took, within these. */
  readonly ageMinMs: number
  readonly ageMaxMs: number
}

/** Large enough that a commit to disk is shared by thousands of rows, small enough for memory and patience. */
export const BATCH_LIMITS: BatchLimits = {
  bytesMax: 4 * 1024 * 1024,
  rowsMax: 10_000,
  ageMinMs: 5,
  ageMaxMs: 200,
}

export type Gatherer = {
  /** Any message but `relation`, `truncate` and logical messages. */
  readonly add: (message: WalMessage, bytes: number, nowMs: number) => void
  readonly addMarker: (marker: Marker) => void
  /** Have whole transactions waited long enough, whether or not more data is there? */
  readonly isOld: (nowMs: number) => boolean
  /** Who takes long over a batch is behind: the next one may wait as long, so that it is larger and costs less a row. */
  readonly setPace: (tookMs: number) => void
  /** Whole transactions gathered so far; undefined when there are none. */
  readonly takeWhole: () => ChangeBatch | undefined
  /** What is there of the transaction that is open; undefined when none is, or it is empty. Take whole ones first. */
  readonly takeSlice: () => ChangeBatch | undefined
  readonly isInTransaction: () => boolean
  readonly isFull: () => boolean
  /** Is there a marker that must be the last thing in its batch, so that what it stands for happens right there? */
  readonly hasCuttingMarker: () => boolean
}

/** Collects messages into batches. Holds no more than `limits` allow and one message. */
export function createGatherer(limits: BatchLimits): Gatherer {
  let messages: RowMessage[] = []
  let transactions: BatchTransaction[] = []
  let markers: Marker[] = []
  let bytes = 0
  let whole: Whole | undefined
  let openXid: number | undefined
  let isOpenListed = false
  let { ageMinMs: patienceMs } = limits

  const add = (message: WalMessage, messageBytes: number, nowMs: number): void => {
    switch (message.kind) {
      case 'begin':
        openXid = message.xid
        isOpenListed = false
        return
      case 'commit':
        openXid = undefined
        whole = {
          messages: messages.length,
          transactions: transactions.length,
          markers: markers.length,
          bytes,
          resume: message.endLsn,
          committedAtMs: message.committedAtMs,
          sinceMs: whole?.sinceMs ?? nowMs,
        }
        return
      case 'insert':
      case 'update':
      case 'delete':
        if (!isOpenListed && openXid !== undefined) {
          transactions.push({ xid: openXid, firstMessage: messages.length })
          isOpenListed = true
        }
        messages.push(message)
        bytes += messageBytes
    }
  }

  const isFull = (): boolean => messages.length >= limits.rowsMax || bytes >= limits.bytesMax

  const takeWhole = (): ChangeBatch | undefined => {
    if (whole === undefined) return undefined
    const part = whole
    const isEverything = messages.length === part.messages && transactions.length === part.transactions
    const batch: ChangeBatch = {
      messages: isEverything ? messages : messages.slice(0, part.messages),
      transactions: isEverything ? transactions : transactions.slice(0, part.transactions),
      markers: markers.slice(0, part.markers),
      resume: part.resume,
      committedAtMs: part.committedAtMs,
      bytes: part.bytes,
    }
    messages = isEverything ? [] : messages.slice(part.messages)
    transactions = transactions.slice(part.transactions).map(({ xid }) => ({ xid, firstMessage: 0 }))
    markers = markers.slice(part.markers)
    bytes -= part.bytes
    whole = undefined
    return batch
  }

  const takeSlice = (): ChangeBatch | undefined => {
    if (openXid === undefined || messages.length === 0) return undefined
    const batch: ChangeBatch = {
      messages,
      transactions,
      markers: [],
      resume: undefined,
      committedAtMs: undefined,
      bytes,
    }
    messages = []
    transactions = [{ xid: openXid, firstMessage: 0 }]
    bytes = 0
    return batch
  }

  return {
    add,
    addMarker: (marker) => {
      markers.push(marker)
    },
    isOld: (nowMs) => whole !== undefined && nowMs - whole.sinceMs >= patienceMs,
    setPace: (tookMs) => {
      patienceMs = Math.min(Math.max(tookMs, limits.ageMinMs), limits.ageMaxMs)
    },
    isFull,
    hasCuttingMarker: () => markers.some(({ kind }) => kind === 'chunk' || kind === 'remove-table'),
    takeWhole,
    takeSlice,
    isInTransaction: () => openXid !== undefined,
  }
}

/** How much of what was gathered belongs to transactions that are over. */
type Whole = {
  readonly messages: number
  readonly transactions: number
  readonly markers: number
  readonly bytes: number
  readonly resume: Lsn
  readonly committedAtMs: number
  /** When the first of them was over. */
  readonly sinceMs: number
}
