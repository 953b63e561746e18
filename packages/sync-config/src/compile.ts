import { assemble, type DraftStream } from './compile/assemble.ts'
import { compileDefinition } from './compile/bucket-definition.ts'
import { Ctes, type ParsedCte } from './compile/ctes.ts'
import { compileEvent } from './compile/event.ts'
import { compileOlderStream } from './compile/older-stream.ts'
import { makeQueryContext } from './compile/query-context.ts'
import { NO_CTES } from './compile/query-scope.ts'
import { compileStream, type ParsedQuery, warnOfSelections } from './compile/stream.ts'
import { type ConfigFile, type CteEntry, readConfigFile, type StreamEntry } from './file/config-file.ts'
import { Problems } from './file/diagnostics.ts'
import type { ScalarText } from './file/scalar-text.ts'
import { makePlan, type PlanBody, type PlanReference } from './plan.ts'
import { parseQuery } from './sql/parse-query.ts'
import type { CompileResult } from './types.ts'

/** Buckets that the rows of one stream may be in. Each is looked up for every client that has the stream. */
const BUCKETS_MAX = 100

/**
 * Compiles the text of a sync config. Everything wrong with it is found in one run, as far as one fault does not hide
 * another; with a fault the whole config is refused. Deterministic, and independent of any database.
 *
 *     YAML text ──▶ ConfigFile ──▶ parsed queries ──▶ drafts of streams ──▶ Plan
 */
export function compileSyncConfig(text: string): CompileResult {
  const problems = new Problems(text)
  const file = readConfigFile(text, problems)
  if (file === undefined) return { kind: 'refused', diagnostics: problems.list() }
  const compilation: Compilation = { file, problems, references: [] }
  const definitions = compileDefinitions(compilation)
  const streams = file.edition === 3 ? compileStreams(compilation) : compileOlderStreams(compilation)
  const events = file.events.flatMap((entry) => {
    return compileEvent(entry, parseAll(compilation, entry.payloads), file.values)
  })
  if (problems.hasErrors) return { kind: 'refused', diagnostics: problems.list() }
  const references = distinct(compilation.references)
  const body = assemble([...definitions, ...streams], file.values, { references, events })
  checkBuckets(compilation, body)
  if (problems.hasErrors) return { kind: 'refused', diagnostics: problems.list() }
  return { kind: 'compiled', plan: makePlan(body), diagnostics: problems.list() }
}

type Compilation = { readonly file: ConfigFile; readonly problems: Problems; readonly references: PlanReference[] }

function compileDefinitions(compilation: Compilation): readonly DraftStream[] {
  const { definitions, values: options } = compilation.file
  return definitions.map((entry) => {
    const parameters = entry.parameters === undefined ? undefined : parseAll(compilation, entry.parameters)
    return compileDefinition(entry, { options, parameters, data: parseAll(compilation, entry.data) })
  })
}

function compileOlderStreams(compilation: Compilation): readonly DraftStream[] {
  const { streams, values: options } = compilation.file
  return streams.map((entry) => compileOlderStream(entry, parseAll(compilation, entry.queries), options))
}

function compileStreams(compilation: Compilation): readonly DraftStream[] {
  const { file, problems } = compilation
  const ofFile = new Ctes(parseCtes(compilation, file.ctes), NO_CTES)
  const compiled = file.streams.map((entry) => {
    const ctes = new Ctes(parseCtes(compilation, entry.ctes), ofFile)
    const stream = compileStream(entry, parseAll(compilation, entry.queries), ctes)
    ctes.check(problems)
    return stream
  })
  ofFile.check(problems)
  warnOfSelections(compiled.flatMap(({ selections }) => selections))
  return compiled.map(({ draft }) => draft)
}

function parseCtes(compilation: Compilation, entries: readonly CteEntry[]): readonly ParsedCte[] {
  const { problems, references } = compilation
  return entries.map((entry) => {
    const target = { kind: 'cte', name: entry.name } as const
    references.push({ target, place: problems.placeOf(entry.offset) })
    return { entry, query: parseOne(compilation, entry.query) }
  })
}

function parseAll(compilation: Compilation, queries: readonly ScalarText[]): readonly ParsedQuery[] {
  return queries.flatMap((query) => parseOne(compilation, query) ?? [])
}

function parseOne({ file, problems, references }: Compilation, query: ScalarText): ParsedQuery | undefined {
  const { edition, fixedJsonExtract, extensions } = file
  const { engine } = file.values
  const context = makeQueryContext({ query, problems, references, edition, fixedJsonExtract, engine, extensions })
  const { select, faults, folded } = parseQuery(query.text, { extensions })
  for (const { span, message } of faults) context.refuse(span, message)
  for (const name of edition < 3 ? folded : []) {
    const written = context.textOf(name)
    context.warn(name, `"${written}" counts as "${name.text}": write it in double quotes to keep the capitals`)
  }
  return select === undefined ? undefined : { context, select }
}

function checkBuckets({ file, problems }: Compilation, { streams }: PlanBody): void {
  for (const { name, routes } of streams) {
    const count = new Set(routes.map(({ bucket }) => bucket)).size
    const entry = file.streams.find((stream: StreamEntry) => stream.name === name)
    if (count <= BUCKETS_MAX || entry === undefined) continue
    problems.error(
      entry.offset,
      `Stream "${name}" is spread over ${count} definitions of buckets, of which a stream can have ${BUCKETS_MAX}: split it into several streams`,
    )
  }
}

/** A query that stands for several copies, as one of a common table expression, refers to the same things each time. */
function distinct(references: readonly PlanReference[]): readonly PlanReference[] {
  return [...new Map(references.map((reference) => [JSON.stringify(reference), reference])).values()]
}
