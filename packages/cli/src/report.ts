import { styleText } from 'node:util'

import { HeadwaterError } from '@headwater/protocol'
import type { Diagnostic } from '@headwater/sync-config'

/** Exit codes: 0 done; 1 it could not be done; 2 the command line itself is wrong. */
export const EXIT_FAILED = 1
export const EXIT_USAGE = 2

/** The one place where an error ends the command: one message to standard error, and the exit code. */
export function reportFailure(error: unknown): void {
  process.exitCode = EXIT_FAILED
  if (error instanceof HeadwaterError) {
    printError(error.message)
    return
  }
  printError('Cannot go on: an unexpected error. Please report it with what follows.')
  console.error(error)
}

export function printError(message: string): void {
  console.error(`${paint('red', 'error')} ${message}`)
}

type Format = Parameters<typeof styleText>[0]

/** Colour where standard error is a terminal that shows it. */
export function paint(format: Format, text: string): string {
  return paintOn(process.stderr, format, text)
}

/** Colour where `output` is a terminal that shows it. */
export function paintOn(output: NodeJS.WritableStream, format: Format, text: string): string {
  return styleText(format, text, { stream: output })
}

/** One diagnostic as people read it: where, what, and the place in the file. */
export function formatDiagnostic(
  path: string,
  diagnostic: Diagnostic,
  output: NodeJS.WritableStream = process.stderr,
): string {
  const { severity, message, line, column, excerpt } = diagnostic
  const colour = severity === 'error' ? 'red' : 'yellow'
  const marked = excerpt
    .split('\n')
    .map((text, index) => (index === 0 ? text : paintOn(output, colour, text)))
    .map((text) => `  ${text}`)
    .join('\n')
  const place = paintOn(output, 'bold', `${path}:${line}:${column}`)
  return `${place} ${paintOn(output, colour, severity)} ${message}\n${marked}`
}
