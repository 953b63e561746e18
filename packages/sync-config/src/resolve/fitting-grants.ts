import { type BucketName, type BucketReason, HeadwaterError, type StreamError } from '@headwater/protocol'
import type { GrantedBucket, Turn } from '../types.ts'

/** Buckets that one route of an evaluation gives. */
export type Grant = { readonly buckets: readonly BucketName[]; readonly priority: number }

/** One evaluation of one stream, by default or for one subscription. */
export type Evaluated = {
  readonly stream: string
  /** No other evaluation has the same. */
  readonly reason: BucketReason
  /** May go without the others: the client looks at what is said of single streams. */
  readonly mayBeLeftOut: boolean
  readonly grants: readonly Grant[]
}

export type Failure = {
  readonly stream: string
  readonly error: StreamError
  /** Of one that exceeds a limit: for the log, with its numbers. */
  readonly exceeded?: string
}

export type Fitting = Merging & { readonly leftOut: readonly Failure[] }

type Merging = {
  readonly buckets: readonly GrantedBucket[]
  /** Distinct buckets by stream; what several streams give counts in each. */
  readonly countsByStream: ReadonlyMap<string, number>
}

/** Streams named in the message about too many buckets. */
const NAMED_STREAMS_MAX = 10

/**
 * The buckets of the evaluations that fit into `bucketsMax` together, taken in order: the most urgent first, then those
 * of the config, then as the client has listed them. What was there before stays so, as a rule, and what was added is
 * left out. Evaluations of one stream stand together in `evaluated`. Throws `too-many-buckets` when some that may not be
 * left out do not fit.
 */
export async function takeFitting(evaluated: readonly Evaluated[], bucketsMax: number, turn: Turn): Promise<Fitting> {
  const all = await mergeGrants(evaluated, turn)
  if (all.buckets.length <= bucketsMax) return { ...all, leftOut: [] }
  const taken = new Set<BucketName>()
  const fitting = new Set<Evaluated>()
  const leftOut: Failure[] = []
  for (const one of evaluated.toSorted(byNeed)) {
    const own = await bucketsOf([one], turn)
    const added: BucketName[] = []
    for (const bucket of own) {
      if (turn.isOverAfterStep()) await turn.next()
      if (!taken.has(bucket)) added.push(bucket)
    }
    const total = taken.size + added.length
    if (total <= bucketsMax) {
      for (const bucket of added) {
        if (turn.isOverAfterStep()) await turn.next()
        taken.add(bucket)
      }
      fitting.add(one)
    } else if (one.mayBeLeftOut) {
      const exceeded = `${own.size} buckets of stream ${JSON.stringify(one.stream)} would make ${total}`
      const message = `Too many buckets (limit of ${bucketsMax})`
      leftOut.push(leaveOut(one, { message, buckets: own.size, exceeded }))
    } else {
      throw await tooMany(evaluated, { bucketsMax, total: all.buckets.length, turn })
    }
  }
  const left = await mergeGrants(
    evaluated.filter((one) => fitting.has(one)),
    turn,
  )
  return { ...left, leftOut }
}

type LeftOut = {
  /** For the client, the same as long as it is over the limit: another one is another checkpoint line. */
  readonly message: string
  /** Undefined where they were not all found. */
  readonly buckets: number | undefined
  readonly exceeded: string
}

export function leaveOut(
  { stream, reason }: Pick<Evaluated, 'stream' | 'reason'>,
  { message, buckets, exceeded }: LeftOut,
): Failure {
  const subscription = reason.kind === 'default' ? 'default' : reason.subscription
  const error: StreamError = { subscription, message: `[PSYNC_S2305] ${message}` }
  return { stream, error: buckets === undefined ? error : { ...error, buckets }, exceeded }
}

/** `stream` is the last one that was found to give it. */
type Merged = { readonly bucket: BucketName; priority: number; reasons: BucketReason[]; stream: string }

/** One entry a bucket, with the most urgent priority and every reason that leads to it. */
async function mergeGrants(evaluated: readonly Evaluated[], turn: Turn): Promise<Merging> {
  const merged = new Map<BucketName, Merged>()
  const countsByStream = new Map<string, number>()
  for (const { stream, reason, grants } of evaluated) {
    const onlyReason = [reason]
    let count = countsByStream.get(stream) ?? 0
    for (const { buckets, priority } of grants) {
      for (const bucket of buckets) {
        if (turn.isOverAfterStep()) await turn.next()
        const known = merged.get(bucket)
        if (known === undefined) {
          merged.set(bucket, { bucket, priority, reasons: onlyReason, stream })
          count += 1
          continue
        }
        addGrant(known, priority, reason)
        if (known.stream !== stream) count += 1
        known.stream = stream
      }
    }
    countsByStream.set(stream, count)
  }
  return { buckets: [...merged.values()], countsByStream }
}

function addGrant(known: Merged, priority: number, reason: BucketReason): void {
  known.priority = Math.min(known.priority, priority)
  if (known.reasons.at(-1) === reason) return
  // Buckets for one reason share the list of it.
  if (known.reasons.length === 1) known.reasons = [...known.reasons, reason]
  else known.reasons.push(reason)
}

function byNeed(a: Evaluated, b: Evaluated): number {
  return Number(a.mayBeLeftOut) - Number(b.mayBeLeftOut) || mostUrgent(a) - mostUrgent(b)
}

function mostUrgent({ grants }: Evaluated): number {
  return grants.reduce(
    (least, { buckets, priority }) => (buckets.length > 0 ? Math.min(least, priority) : least),
    Infinity,
  )
}

async function bucketsOf(evaluated: readonly Evaluated[], turn: Turn): Promise<ReadonlySet<BucketName>> {
  const found = new Set<BucketName>()
  for (const { grants } of evaluated) {
    for (const { buckets } of grants) {
      for (const bucket of buckets) {
        if (turn.isOverAfterStep()) await turn.next()
        found.add(bucket)
      }
    }
  }
  return found
}

async function tooMany(
  evaluated: readonly Evaluated[],
  { bucketsMax, total, turn }: { readonly bucketsMax: number; readonly total: number; readonly turn: Turn },
): Promise<HeadwaterError> {
  const counts: { readonly name: string; readonly count: number }[] = []
  for (const [name, ofStream] of Map.groupBy(evaluated, ({ stream }) => stream)) {
    counts.push({ name, count: (await bucketsOf(ofStream, turn)).size })
  }
  const named = counts
    .filter(({ count }) => count > 0)
    .toSorted((a, b) => b.count - a.count)
    .slice(0, NAMED_STREAMS_MAX)
    .map(({ name, count }) => `${count} from ${JSON.stringify(name)}`)
  return new HeadwaterError(
    'too-many-buckets',
    `Cannot sync: expected at most ${bucketsMax} buckets for one client, got ${total}: ${named.join(', ')}`,
  )
}
