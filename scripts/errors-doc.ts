import { ERROR_TABLE, type ErrorEntry } from '@headwater/protocol'

const RETRY_WORDS: Readonly<Record<ErrorEntry['retry'], string>> = {
  never: 'no: the same request fails again',
  backoff: 'yes, by itself, after a while',
  'after-operator': 'after somebody has changed something',
}

/** The text of `docs/reference/errors.md`. */
export function formatErrorsDoc(table: Readonly<Record<string, ErrorEntry>> = ERROR_TABLE): string {
  const sections = Object.entries(table).map(([code, entry]) => formatSection(code, entry))
  return `# Errors

Every error has a code. It stands in log lines, in messages of the command line and in \`HeadwaterError.code\`; decide by
it, never by the words of a message. To clients over HTTP it is sent as the PowerSync protocol's code, in the body
\`{"error": {"code", "status", "description", "name", "details"?}}\`.

This page is written from the table in \`packages/protocol/src/errors.ts\` by \`npx node --conditions=@headwater/source scripts/write-errors-doc.ts\`.

${sections.join('\n')}`
}

function formatSection(code: string, entry: ErrorEntry): string {
  return `## ${code}

${entry.help}

| HTTP status | code on the wire | retried |
| --- | --- | --- |
| ${entry.status} | \`${entry.wireCode}\` | ${RETRY_WORDS[entry.retry]} |
`
}
