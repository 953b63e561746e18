import { matchesTable } from '../match-table.ts'
import type { PlanBody } from '../plan.ts'
import type { EvaluatedLookup, EvaluatedObject, RowOutcome, SourceTable, TableProgram, TextRow } from '../types.ts'
import { bucketNamer, type GenerationOf } from './bucket-name.ts'
import { EvaluatorCompiler } from './evaluator-program.ts'
import { compileEvent } from './event-program.ts'
import { compileLookup } from './lookup-program.ts'
import { findOwnId } from './own-id.ts'
import { RowColumns } from './row-columns.ts'
import { rowFailure, type RowProgram, RowResults } from './row-program.ts'
import { TableScope } from './row-scope.ts'
import type { RowTurn } from './shared-parts.ts'

/** Makes the program of one table; undefined when the plan does not read it. */
export function compileTable(
  body: PlanBody,
  table: SourceTable,
  {
    generationOf,
    rowCharactersMax,
  }: { readonly generationOf: GenerationOf; readonly rowCharactersMax?: number | undefined },
): TableProgram | undefined {
  const columns = new RowColumns(table, body.values)
  const scope = new TableScope(table, columns, { values: body.values, rowCharactersMax })
  const evaluators = compileEvaluators(body, scope, generationOf)
  const lookups = body.lookups
    .filter((lookup) => matchesTable(lookup.table, table))
    .map((lookup) => compileLookup(lookup, scope))
  const events = body.events
    .filter((event) => matchesTable(event.table, table))
    .map((event) => compileEvent(event, scope))
  const programs = [...evaluators, ...lookups]
  if (programs.length + events.length === 0) return undefined
  const needed = new Set([...programs, ...events].flatMap(({ reads }) => reads.map(({ index }) => index)))
  return {
    needed: columns.all.map(({ index }) => needed.has(index)),
    evaluate: makeEvaluate(programs, scope.turn),
    events: events.map(({ program }) => program),
    ownId: findOwnId(body, table, columns),
  }
}

function compileEvaluators(body: PlanBody, scope: TableScope, generationOf: GenerationOf): readonly RowProgram[] {
  const compiler = new EvaluatorCompiler(scope)
  const definitions = namesOfBuckets(body)
  const outputOf = (index: number): string | undefined => {
    const evaluator = body.evaluators[index]
    if (evaluator === undefined || !matchesTable(evaluator.table, scope.table)) return undefined
    return evaluator.output ?? scope.table.name
  }
  return body.evaluators.flatMap((evaluator, index) => {
    const output = outputOf(index)
    if (output === undefined) return []
    const buckets = [...body.buckets.entries()].filter(([, bucket]) => bucket.evaluators.includes(index))
    return compiler.compile(evaluator, {
      definition: [...new Set(buckets.flatMap(([number]) => definitions[number] ?? []))].join(', '),
      buckets: buckets.map(([, bucket]) => {
        const hasRival = bucket.evaluators.some((other) => other !== index && outputOf(other) === output)
        const rank = hasRival ? bucket.evaluators.indexOf(index) : undefined
        return { nameOf: bucketNamer(bucket, body, generationOf), rank }
      }),
    })
  })
}

/** By number of the bucket: streams and bucket definitions that lead to it. */
function namesOfBuckets({ buckets, streams }: PlanBody): readonly (readonly string[])[] {
  return buckets.map((_, number) =>
    streams.filter(({ routes }) => routes.some(({ bucket }) => bucket === number)).map(({ name }) => name),
  )
}

type RowFailure = RowOutcome['errors'][number]

const NO_OBJECTS: readonly EvaluatedObject[] = []
const NO_LOOKUPS: readonly EvaluatedLookup[] = []
const NO_ERRORS: readonly RowFailure[] = []
const NOTHING: RowOutcome = { objects: NO_OBJECTS, lookups: NO_LOOKUPS, errors: NO_ERRORS }

/** The loop over one row's programs. A row that matches nothing allocates nothing. */
function makeEvaluate(programs: readonly RowProgram[], turn: RowTurn): (row: TextRow) => RowOutcome {
  const results = new RowResults()
  return (row) => {
    results.reset()
    turn.number += 1
    let errors: RowFailure[] | undefined
    for (const program of programs) {
      try {
        program.run(row, results)
      } catch (error) {
        errors ??= []
        errors.push({ definition: program.definition, message: rowFailure(error) })
      }
    }
    const { objects, lookups } = results
    if (objects === undefined && lookups === undefined && errors === undefined) return NOTHING
    return { objects: objects ?? NO_OBJECTS, lookups: lookups ?? NO_LOOKUPS, errors: errors ?? NO_ERRORS }
  }
}
