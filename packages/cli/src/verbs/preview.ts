import type { PreviewData, PreviewRequest, PreviewResult, PreviewRow } from '@headwater/sync-config'

import { readInput, readJsonInput } from '../read-file.ts'
import { EXIT_FAILED, formatDiagnostic, paint, printError } from '../report.ts'
import { formatTable } from '../table.ts'

export type PreviewFlags = {
  readonly config: string
  readonly data: string
  readonly request: string
  readonly json?: boolean
}

type Previewed = Exclude<PreviewResult, { readonly errors: unknown }>

/** Evaluates a config over rows from a file, with the code that the service runs. */
export async function runPreview(flags: PreviewFlags): Promise<void> {
  const { compileSyncConfig, parseRequestJson, preview } = await import('@headwater/sync-config')
  const config = await readInput(flags.config, '--config')
  const data = await readJsonInput(flags.data, '--data', parseRequestJson)
  const request = await readJsonInput(flags.request, '--request', parseRequestJson)
  // What is wrong with their shape, preview itself says.
  const result = await preview({ config, data: data as PreviewData, request: request as PreviewRequest })
  if ('errors' in result) process.exitCode = EXIT_FAILED
  if (flags.json === true) {
    console.log(JSON.stringify(result))
    return
  }
  const { diagnostics } = compileSyncConfig(config)
  for (const diagnostic of diagnostics) console.error(formatDiagnostic(flags.config, diagnostic))
  const known = new Set(diagnostics.map(({ message }) => message))
  if ('errors' in result) {
    for (const { message } of result.errors) if (!known.has(message)) printError(message)
    return
  }
  printWarnings({ ...result, warnings: result.warnings.filter(({ message }) => !known.has(message)) }, flags.config)
  printRows(result.rows)
}

function printWarnings(result: Previewed, path: string): void {
  for (const { message, line, column } of result.warnings) {
    console.error(`${paint('bold', `${path}:${line}:${column}`)} ${paint('yellow', 'warning')} ${message}`)
  }
  for (const { stream, subscription, message } of result.streamErrors) {
    const which = subscription === 'default' ? 'by default' : `subscription ${subscription}`
    console.error(`${paint('bold', stream)} (${which}) ${paint('red', 'error')} ${message}`)
  }
}

function printRows(rows: readonly PreviewRow[]): void {
  if (rows.length === 0) {
    console.log('The client gets no rows.')
    return
  }
  const cells = rows.map(({ type, id, priority, data }) => [type, id, String(priority), data])
  console.log(formatTable(['table', 'id', 'priority', 'data'], cells, process.stdout))
}
