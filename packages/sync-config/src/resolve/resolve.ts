import { type BucketReason, HeadwaterError, type StreamSubscription } from '@headwater/protocol'
import type { GenerationOf } from '../evaluate/bucket-name.ts'
import type { PlanBody, PlanStream } from '../plan.ts'
import type { LoadOptions, ReadLookups, Request, Resolution, Turn } from '../types.ts'
import { EvaluationError } from '../values/value.ts'
import { type Evaluated, type Failure, type Grant, leaveOut, takeFitting } from './fitting-grants.ts'
import { makeLookupReader } from './lookup-reader.ts'
import { TooManyRows } from './relation.ts'
import type { RequestData } from './request-leaves.ts'
import { RequestWork, TooMuchWork } from './request-work.ts'
import { compileRoute, type RouteProgram } from './route-program.ts'
import { KnownParts, type RouteRun, runRoute } from './run-route.ts'

/**
 * Parameter results that a stream may find for each bucket that the client may have: many can lead to few buckets, and
 * a message about too many buckets can still count them.
 */
const RESULTS_PER_BUCKET = 4

/** The same for all evaluations of a request together, each step and each reason of a bucket counted by itself. */
const RESULTS_IN_ALL_PER_BUCKET = 50
/** So many there may be in any case: they cost about a second. */
const RESULTS_IN_ALL = 500_000

/** What these ask for is read together. */
const EVALUATIONS_AT_ONCE = 100

/** Subscriptions of one request. */
const SUBSCRIPTIONS_MAX = 10_000

export type StreamProgram = {
  readonly name: string
  readonly kind: PlanStream['kind']
  readonly isDefault: boolean
  readonly priority: number
  readonly routes: readonly RouteProgram[]
}

export function compileStreams(body: PlanBody, generationOf: GenerationOf): readonly StreamProgram[] {
  return body.streams.map(({ name, kind, isDefault, priority, routes }) => {
    const programs = routes.map((route) => compileRoute(body, route, { kind, generationOf }))
    return { name, kind, isDefault, priority, routes: programs }
  })
}

/** One evaluation of one stream: by default, or for one subscription of the request. */
type Evaluation = {
  readonly stream: StreamProgram
  readonly reason: BucketReason
  readonly data: RequestData
  readonly overridePriority: number | undefined
  /** The client is told when it gets nothing because of a limit. */
  readonly mayBeLeftOut: boolean
}

/**
 * Which buckets a request gets, and why. A stream that cannot be evaluated, or exceeds a limit, is named with its error;
 * others go on.
 */
export async function resolveRequest(
  streams: readonly StreamProgram[],
  request: Request,
  {
    readLookups,
    options,
    turn,
  }: { readonly readLookups: ReadLookups; readonly options: LoadOptions; readonly turn: Turn },
): Promise<Resolution> {
  const { bucketsMax, resultsMax = bucketsMax * RESULTS_PER_BUCKET } = options
  const { listed, evaluations } = planEvaluations(
    streams,
    request,
    new RequestWork(Math.max(RESULTS_IN_ALL, bucketsMax * RESULTS_IN_ALL_PER_BUCKET)),
  )
  const reader = makeLookupReader(readLookups)
  const run = { readLookups: reader.read, rowsMax: resultsMax, turn, known: new KnownParts() }
  const outcomes: Outcome[] = []
  for (let at = 0; at < evaluations.length; at += EVALUATIONS_AT_ONCE) {
    if (turn.isOver) await turn.next()
    const some = evaluations.slice(at, at + EVALUATIONS_AT_ONCE)
    const running = some.map((evaluation) => runEvaluation(evaluation, { ...run, data: evaluation.data }))
    outcomes.push(...(await allOrFirstFailure(running)))
  }
  const evaluated = outcomes.flatMap((outcome) => ('grants' in outcome ? outcome : []))
  const { buckets, countsByStream, leftOut } = await takeFitting(evaluated, bucketsMax, turn)
  const failures = [...outcomes.flatMap((outcome) => ('error' in outcome ? outcome : [])), ...leftOut]
  const failuresOf = Map.groupBy(failures, ({ stream }) => stream)
  return {
    buckets,
    streams: listed.map(({ name, isDefault }) => {
      const errors = (failuresOf.get(name) ?? []).map(({ error }) => error)
      return { name, isDefault, errors, buckets: countsByStream.get(name) ?? 0 }
    }),
    bucketsMax,
    lookupKeys: reader.keys(),
    exceeded: failures.flatMap(({ exceeded }) => exceeded ?? []),
  }
}

type Plan = { readonly listed: readonly StreamProgram[]; readonly evaluations: readonly Evaluation[] }

function planEvaluations(streams: readonly StreamProgram[], request: Request, work: RequestWork): Plan {
  const { length } = request.subscriptions
  if (length > SUBSCRIPTIONS_MAX) {
    throw new HeadwaterError(
      'too-many-buckets',
      `Cannot sync: expected at most ${SUBSCRIPTIONS_MAX} subscriptions of one client, got ${length}`,
    )
  }
  const requested = new Map<string, (readonly [number, StreamSubscription])[]>()
  for (const [index, subscription] of request.subscriptions.entries()) {
    const known = requested.get(subscription.stream)
    if (known === undefined) requested.set(subscription.stream, [[index, subscription]])
    else known.push([index, subscription])
  }
  const isIncluded = (stream: StreamProgram): boolean => stream.isDefault && request.includeDefaults
  const listed = streams.filter((stream) => isIncluded(stream) || requested.has(stream.name))
  const base = { claims: request.claims, connection: request.parameters, work }
  const evaluations = listed.flatMap((stream, index) => {
    const mayBeLeftOut = request.readsStreamErrors === true && stream.kind === 'stream'
    const byDefault: Evaluation = {
      stream,
      reason: { kind: 'default', stream: index },
      data: { ...base, subscription: undefined },
      overridePriority: undefined,
      mayBeLeftOut,
    }
    const bySubscription = (requested.get(stream.name) ?? []).map(
      ([subscription, { parameters, overridePriority }]): Evaluation => {
        const data = { ...base, subscription: parameters }
        return { stream, reason: { kind: 'subscription', subscription }, data, overridePriority, mayBeLeftOut }
      },
    )
    return isIncluded(stream) ? [byDefault, ...bySubscription] : bySubscription
  })
  return { listed, evaluations }
}

type Outcome = Evaluated | Failure

async function runEvaluation(evaluation: Evaluation, run: RouteRun): Promise<Outcome> {
  const { stream, reason, overridePriority, mayBeLeftOut } = evaluation
  try {
    const grants = await allOrFirstFailure(
      stream.routes.map(async (route): Promise<Grant> => {
        const buckets = await runRoute(route, run)
        run.data.work.addResults(buckets.length)
        return { buckets, priority: overridePriority ?? route.priority ?? stream.priority }
      }),
    )
    return { stream: stream.name, reason, mayBeLeftOut, grants }
  } catch (error) {
    if (error instanceof TooManyRows && mayBeLeftOut) {
      const message = `Too many parameter results (limit of ${run.rowsMax})`
      const exceeded = `stream ${JSON.stringify(stream.name)} finds more than ${run.rowsMax} parameter results`
      return leaveOut({ stream: stream.name, reason }, { message, buckets: undefined, exceeded })
    }
    const message = failureMessage(error)
    if (message !== undefined && stream.kind === 'stream') {
      const subscription = reason.kind === 'default' ? 'default' : reason.subscription
      return { stream: stream.name, error: { subscription, message } }
    }
    throw message === undefined ? tooManyRows(error, stream, run.rowsMax) : definitionFailed(error, stream, message)
  }
}

/** What a client is told of values that cannot be evaluated; undefined for an error of another kind. */
function failureMessage(error: unknown): string | undefined {
  if (error instanceof EvaluationError) return error.message
  // What JavaScript throws for a text or number beyond its limits, and for nesting beyond its stack.
  return error instanceof RangeError ? 'Cannot evaluate the request: a value in it is too large' : undefined
}

function definitionFailed(cause: unknown, { name }: StreamProgram, message: string): HeadwaterError {
  return new HeadwaterError(
    'bad-parameters',
    `Cannot sync: the parameters of bucket definition ${JSON.stringify(name)} cannot be evaluated: ${message}`,
    { cause },
  )
}

function tooManyRows(error: unknown, { name, kind }: StreamProgram, rowsMax: number): unknown {
  const what = kind === 'stream' ? 'stream' : 'bucket definition'
  if (error instanceof TooMuchWork) {
    return new HeadwaterError(
      'too-many-buckets',
      `Cannot sync: with ${what} ${JSON.stringify(name)} this client needs ${error.message}: subscribe to less, or pass shorter parameters`,
      { cause: error },
    )
  }
  if (!(error instanceof TooManyRows)) return error
  return new HeadwaterError(
    'too-many-buckets',
    `Cannot sync ${what} ${JSON.stringify(name)}: it finds more than ${rowsMax} parameter results or buckets for this client`,
    { cause: error },
  )
}

/** Like `Promise.all`, but nothing goes on when it fails: what is read belongs to a checkpoint that then ends. */
async function allOrFirstFailure<Result>(running: readonly Promise<Result>[]): Promise<readonly Result[]> {
  await Promise.allSettled(running)
  return Promise.all(running)
}
