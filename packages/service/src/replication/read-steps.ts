import type { Lsn } from '../postgres/lsn.ts'
import { decodeMarker, MARKER_PREFIX } from '../postgres/marker.ts'
import { decodeWalMessage, type NeededColumns, type Relation, type WalMessage } from '../postgres/pgoutput.ts'
import type { WalStream } from '../postgres/wal-stream.ts'
import { type BatchLimits, type ChangeBatch, createGatherer, type Gatherer } from './batches.ts'

/** One thing for the replicator to do, in log order. */
export type Step =
  | { readonly kind: 'batch'; readonly batch: ChangeBatch }
  /** Inside the transaction that is open. Ask for the next step only when `needed` knows the relation. */
  | { readonly kind: 'relation'; readonly relation: Relation }
  /** Inside the transaction that is open. */
  | { readonly kind: 'truncate'; readonly relationOids: readonly number[]; readonly xid: number }
  /** Nothing is on its way: the source has nothing for us up to here. */
  | { readonly kind: 'idle'; readonly sentUpTo: Lsn }

export type StepOptions = {
  readonly slot: string
  readonly limits: BatchLimits
  readonly nowMs: () => number
  /** Columns to decode; read for each message, so the reader of steps may change it between two of them. */
  readonly needed: NeededColumns
  /** Is this what is already known of the relation? Such messages are sent again and again. */
  readonly isKnown: (relation: Relation) => boolean
}

/** Turns the bytes of the stream into steps. Whatever must happen at one exact place cuts the batch there. */
export async function* readSteps(
  wal: WalStream,
  options: StepOptions,
  signal: AbortSignal,
): AsyncGenerator<Step, void, undefined> {
  const gatherer = createGatherer(options.limits)
  let xid = 0
  for (let read = await wal.read(signal); read !== undefined; read = await wal.read(signal)) {
    const { bytes, end } = read
    let at = 0
    while (at < end) {
      const length = bytes.readUInt32BE(at)
      const message = decodeWalMessage(bytes, at + 4, at + 4 + length, options.needed)
      at += 4 + length
      if (message.kind === 'begin') xid = message.xid
      const isCut = addToBatch(gatherer, message, length, options)
      const isDue = gatherer.isFull() || (message.kind === 'commit' && gatherer.isOld(options.nowMs()))
      if (isCut || isDue) {
        const takenAtMs = options.nowMs()
        yield* takeAll(gatherer, isCut)
        gatherer.setPace(options.nowMs() - takenAtMs)
      }
      if (message.kind === 'truncate') yield { kind: 'truncate', relationOids: message.relationOids, xid }
      if (message.kind === 'relation' && !options.isKnown(message.relation)) yield message
    }
    if (!wal.hasData()) await wal.waitForMore()
    if (!wal.hasData() || gatherer.isOld(options.nowMs())) yield* takeAll(gatherer, false)
    if (read.sentUpTo > 0n && !gatherer.isInTransaction() && !wal.hasData()) {
      yield { kind: 'idle', sentUpTo: read.sentUpTo }
    }
  }
}

/** True when what was gathered must be applied before the next message. */
function addToBatch(gatherer: Gatherer, message: WalMessage, length: number, options: StepOptions): boolean {
  switch (message.kind) {
    case 'relation':
      return !options.isKnown(message.relation)
    case 'truncate':
      return true
    case 'message': {
      const marker = message.prefix === MARKER_PREFIX ? decodeMarker(message.content, options.slot) : undefined
      if (marker !== undefined && message.isTransactional) gatherer.addMarker(marker)
      return false
    }
    default:
      gatherer.add(message, length, options.nowMs())
      return message.kind === 'commit' && gatherer.hasCuttingMarker()
  }
}

/** Whole transactions; and the open one too, when it is too large to wait for its end or something cuts it. */
function* takeAll(gatherer: Gatherer, isCut: boolean): Generator<Step, void, undefined> {
  const whole = gatherer.takeWhole()
  if (whole !== undefined) yield { kind: 'batch', batch: whole }
  if (!isCut && !gatherer.isFull()) return
  const slice = gatherer.takeSlice()
  if (slice !== undefined) yield { kind: 'batch', batch: slice }
}
