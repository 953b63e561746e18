import type { SourceProblem, SourceReport } from '@headwater/service'
import type { Diagnostic, TableDiagnostic } from '@headwater/sync-config'

import { readInput } from '../read-file.ts'
import { EXIT_FAILED, formatDiagnostic, paintOn } from '../report.ts'

export type CheckFlags = {
  readonly config: string
  readonly databaseUrl?: string
  readonly publication: string
  readonly slot: string
  readonly json?: boolean
}

type Findings = {
  readonly diagnostics: readonly Diagnostic[]
  readonly tables: number
  /** Undefined when no database was named. */
  readonly source: SourceReport | undefined
}

/** Prints everything that is wrong at once. The exit status is 1 when anything keeps the service from working. */
export async function runCheck(flags: CheckFlags): Promise<void> {
  const findings = await findEverything(flags)
  const severities = [...findings.diagnostics, ...(findings.source?.problems ?? [])].map(({ severity }) => severity)
  if (severities.includes('error')) process.exitCode = EXIT_FAILED
  if (flags.json === true) printJson(findings)
  else printForPeople(findings, flags.config)
}

async function findEverything(flags: CheckFlags): Promise<Findings> {
  const { checkPlanAgainstTables, compileSyncConfig } = await import('@headwater/sync-config')
  const compiled = compileSyncConfig(await readInput(flags.config, '--config'))
  const patterns = compiled.kind === 'compiled' ? compiled.plan.tables : []
  const url = flags.databaseUrl ?? process.env['HEADWATER_SOURCE_URL'] ?? ''
  if (url === '') return { diagnostics: compiled.diagnostics, tables: patterns.length, source: undefined }
  // Loaded only here: the driver takes longer than all the rest.
  const { checkSource } = await import('@headwater/service')
  const { publication, slot } = flags
  const source = await checkSource(url, { publication, slot, tables: patterns })
  const isReached = source.serverVersion > 0
  const againstTables =
    compiled.kind === 'compiled' && isReached ? checkPlanAgainstTables(compiled.plan, source.tables).map(asFinding) : []
  return { diagnostics: [...compiled.diagnostics, ...againstTables], tables: patterns.length, source }
}

/** The service starts without a column, which may be made later. Who has a config checked wants to hear of a slip. */
function asFinding({ kind, ...diagnostic }: TableDiagnostic): Diagnostic {
  return kind === 'unknown-column' ? { ...diagnostic, severity: 'error' } : diagnostic
}

function printJson({ diagnostics, source }: Findings): void {
  console.log(
    JSON.stringify({
      config: diagnostics.map(({ severity, message, line, column }) => ({ severity, message, line, column })),
      source: source?.problems ?? null,
    }),
  )
}

const MARKS = { error: ['red', 'error'], warning: ['yellow', 'warning'], automatic: ['cyan', 'note'] } as const

function printForPeople({ diagnostics, source, tables }: Findings, path: string): void {
  for (const diagnostic of diagnostics) console.log(`${formatDiagnostic(path, diagnostic, process.stdout)}\n`)
  for (const problem of source?.problems ?? []) console.log(`${formatProblem(problem)}\n`)
  console.log(summarise(path, diagnostics, `${plural(tables, 'table')} read`))
  if (source === undefined) console.log('The database was not looked at: name it with --database-url.')
  else console.log(summarise('Postgres', source.problems, 'ready to be replicated'))
}

function formatProblem({ severity, message, remedy }: SourceProblem): string {
  const [colour, word] = MARKS[severity]
  const isAutomatic = severity === 'automatic'
  const todo = isAutomatic ? 'The service does this by itself when it starts:' : 'To do:'
  const indented = remedy.split('\n').join('\n    ')
  return `${paintOn(process.stdout, 'bold', 'Postgres')} ${paintOn(process.stdout, colour, word)} ${message}\n  ${todo}\n    ${indented}`
}

type Found = readonly { readonly severity: string }[]

function summarise(what: string, found: Found, good: string): string {
  const count = (wanted: string): number => found.filter(({ severity }) => severity === wanted).length
  const errors = count('error')
  const warnings = count('warning')
  const parts = [
    errors === 0 ? good : plural(errors, 'error'),
    ...(warnings === 0 ? [] : [plural(warnings, 'warning')]),
  ]
  const mark = errors === 0 ? paintOn(process.stdout, 'green', '✓') : paintOn(process.stdout, 'red', '✗')
  return `${mark} ${what}: ${parts.join(', ')}`
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
