import { assemble } from './compile/assemble.ts'
import { compileDefinition } from './compile/bucket-definition.ts'
import { type Dialect, makeQueryContext } from './compile/query-context.ts'
import { compileStream, type ParsedQuery } from './compile/stream.ts'
import { type ConfigFile, readConfigFile } from './file/config-file.ts'
import { Problems } from './file/diagnostics.ts'
import type { ScalarText } from './file/scalar-text.ts'
import { makePlan, type PlanReference } from './plan.ts'
import { parseQuery } from './sql/parse-query.ts'
import type { CompileResult } from './types.ts'

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
  const references: PlanReference[] = []
  const parse = (queries: readonly ScalarText[], dialect: Dialect): readonly ParsedQuery[] =>
    queries.flatMap((query) => parseOne(query, dialect, { file, problems, references }) ?? [])
  const streams = file.streams.map((entry) => compileStream(entry, parse(entry.queries, 'stream')))
  const definitions = file.definitions.map((entry) =>
    compileDefinition(entry, {
      problems,
      parameters: entry.parameters === undefined ? undefined : parse(entry.parameters, 'parameter-query'),
      data: parse(entry.data, 'data-query'),
    }),
  )
  if (problems.hasErrors) return { kind: 'refused', diagnostics: problems.list() }
  const plan = makePlan(assemble([...definitions, ...streams], file.values, { references, events: [] }))
  return { kind: 'compiled', plan, diagnostics: problems.list() }
}

type Around = { readonly file: ConfigFile; readonly problems: Problems; readonly references: PlanReference[] }

function parseOne(query: ScalarText, dialect: Dialect, around: Around): ParsedQuery | undefined {
  const { file, problems, references } = around
  const { edition, fixedJsonExtract } = file
  const context = makeQueryContext({ query, problems, references, dialect, edition, fixedJsonExtract })
  const { select, faults, folded } = parseQuery(query.text)
  for (const { span, message } of faults) context.refuse(span, message)
  for (const name of edition < 3 ? folded : []) {
    const written = query.text.slice(name.start, name.end)
    context.warn(name, `"${written}" counts as "${name.text}": write it in double quotes to keep the capitals`)
  }
  return select === undefined ? undefined : { context, select }
}
