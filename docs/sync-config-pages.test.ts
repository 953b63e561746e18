import { readFileSync } from 'node:fs'
import {
  compileSyncConfig,
  preview,
  type PreviewData,
  type PreviewRequest,
  type PreviewResult,
} from '@headwater/sync-config'
import { describe, expect, test } from 'vitest'

/**
 * Runs every example of the pages about sync configs:
 *
 *     ```yaml                   a config; it compiles without a word, unless what follows says otherwise
 *     ```yaml refused           a config that is refused, with the messages in the ```text block behind it
 *     ```json data              the tables of all previews from here on
 *     ```json preview           what goes into a preview of the config above, and what comes out, as JSON
 *     ```text preview           requests, each with the rows that it gets from the config above
 *     | query | said |          queries, each with the beginning of what is said of it
 *     | expression | gives |    expressions, each with its value as JSON; more columns for other editions
 *     | by SQLite's rules |     expressions, each with its value by SQLite's rules and by the others
 */
type Block = { readonly language: string; readonly use: string; readonly text: string; readonly config: string }

const PAGES = ['reference/sync-config.md', 'guides/sync-streams.md']

function readBlocks(page: string): readonly Block[] {
  const fence = /^```(\S+)(?: (\S+))?\n(.*?)^```$/gms
  let config = ''
  return Array.from(page.matchAll(fence), ([, language = '', use = '', text = '']) => {
    if (language === 'yaml') config = text
    return { language, use, text, config }
  })
}

describe.each(PAGES)('%s', (path) => {
  const page = readFileSync(new URL(path, import.meta.url), 'utf8')
  const blocks = readBlocks(page)
  const previews = blocks.filter(({ use, language }) => use === 'preview' && language === 'text')

  test('has examples, and no block that is not run', () => {
    expect(previews.length).toBeGreaterThan(3)
    const unknown = blocks.filter(({ language, use }) => !KNOWN.includes(`${language} ${use}`.trim()))
    expect(unknown).toEqual([])
  })

  test.each(blocks.filter(({ language, use }) => language === 'yaml' && use !== 'refused'))(
    'a config compiles without a word: $text',
    ({ text, use }) => {
      if (use === 'settings') return
      expect(compileSyncConfig(text)).toMatchObject({ kind: 'compiled', diagnostics: [] })
    },
  )

  test.each(previews)('requests get the rows that the page says: $config', async ({ config, text }) => {
    const data = dataBefore(page, text)
    for (const { request, rows } of readRequests(text)) {
      expect(shown(await preview({ config, data, request }))).toEqual(rows)
    }
  })

  const exchanges = blocks.filter(({ language, use }) => language === 'json' && use === 'preview')
  test.each(exchanges)('what goes in and comes out is as the page says: $config', async ({ config, text }) => {
    const { rows, ...input } = JSON.parse(text) as { data: PreviewData; request: PreviewRequest; rows: unknown }
    expect(await preview({ config, ...input })).toEqual({ rows, streamErrors: [], warnings: [] })
  })

  const refused = blocks.filter(({ language, use }) => language === 'text' && use === 'errors')
  test.each(refused)('a refused config gives the messages that the page says: $config', ({ config, text }) => {
    const said = compileSyncConfig(config).diagnostics.map(
      ({ line, column, message }) => `${line}:${column} ${message}`,
    )
    expect(said).toEqual(text.trimEnd().split('\n'))
  })

  test.each(rowsOfTables(page, 'query'))('of %s is said: %s', (query, said) => {
    const edition = said.startsWith('[2] ') ? 2 : 3
    const { diagnostics } = compileSyncConfig(JSON.stringify({ config: { edition }, streams: { s: { query } } }))
    const messages = diagnostics.map(({ message }) => message)
    expect(messages.join('\n')).toContain(said.replace('[2] ', ''))
  })

  test.each(rowsOfTables(page, 'condition'))('the condition %s exists where the page says', (where, ...cells) => {
    const query = `SELECT id FROM t WHERE ${where}`
    const configs = [
      { bucket_definitions: { d: { data: [query] } } },
      { config: { edition: 2 }, streams: { s: { query } } },
      { config: { edition: 3 }, streams: { s: { query } } },
    ]
    const exists = configs.map((config) => compileSyncConfig(JSON.stringify(config)).kind === 'compiled')
    expect(exists.map((known) => (known ? 'yes' : 'no'))).toEqual(cells)
  })

  test.each(rowsOfTables(page, "by SQLite's rules"))(
    "by SQLite's rules %s gives %s, and otherwise %s",
    async (expression, bySqlite, otherwise) => {
      expect(await valueOf(expression, 3, { unstable_sqlite_expression_engine: true })).toBe(bySqlite)
      expect(await valueOf(expression, 3)).toBe(otherwise)
    },
  )

  test.each(rowsOfTables(page, 'extended expression'))('with extensions, %s gives %s', async (expression, value) => {
    expect(await valueOf(expression, 3)).toBe('refused')
    expect(await valueOf(expression, 3, { extensions: true })).toBe(value)
  })

  test.each(rowsOfTables(page, 'expression'))('the expression %s gives %s', async (expression, ...values) => {
    const editions = values.length === 1 ? [3] : [3, 2, 1]
    for (const [index, value] of values.entries()) {
      expect([editions[index], await valueOf(expression, editions[index] ?? 3)]).toEqual([editions[index], value])
    }
  })
})

const KNOWN =
  'yaml, yaml refused, yaml settings, json data, json preview, json settings, text preview, text errors, sql, sh'.split(
    ', ',
  )

function dataBefore(page: string, text: string): PreviewData {
  const before = readBlocks(page.slice(0, page.indexOf(text)))
  return JSON.parse(before.findLast(({ use }) => use === 'data')?.text ?? '{"tables": {}}') as PreviewData
}

type Requested = { readonly request: PreviewRequest; readonly rows: readonly string[] }

/** Lines that begin with `{` are requests, those under them the rows they get. */
function readRequests(text: string): readonly Requested[] {
  const parts = text.split(/^(?=\{)/m)
  return parts.map((part) => {
    const [request = '', ...rows] = part.trimEnd().split('\n')
    const trimmed = rows.map((row) => row.trim())
    return { request: JSON.parse(request) as PreviewRequest, rows: trimmed.filter((row) => row !== 'nothing') }
  })
}

/** `table id data`, with the priority where it is not the usual one. */
function shown(result: PreviewResult): readonly string[] {
  if ('errors' in result) return result.errors.map(({ message }) => message)
  const rows = result.rows.map(({ type, id, data, priority }) => {
    return `${type} ${id} ${data}${priority === 3 ? '' : ` priority ${priority}`}`
  })
  return [...rows, ...[...result.streamErrors, ...result.warnings].map(({ message }) => message)]
}

/** Cells of the tables whose first column is headed so; code without its backticks. */
function rowsOfTables(page: string, first: string): readonly (readonly [string, ...string[]])[] {
  const tables = page.matchAll(new RegExp(`^\\| ${first} \\|.*\\n\\|[-| ]+\\n((?:\\|.*\\n)+)`, 'gm'))
  return [...tables].flatMap(([, rows = '']) =>
    rows
      .trimEnd()
      .split('\n')
      .map((row) => {
        const [head = '', ...rest] = row
          .slice(1, -1)
          .split(/(?<!\\)\|/)
          .map((cell) =>
            cell
              .trim()
              .replaceAll('\\|', '|')
              .replace(/^`+ ?(.*?) ?`+$/, '$1'),
          )
        return [head, ...rest] as const
      }),
  )
}

const COLUMNS = [
  { name: 'id', type: 'text' },
  { name: 'j', type: 'jsonb' },
  { name: 'point', type: 'text' },
] as const
const ROW = [
  '1',
  '{"a": 1, "b": {"c": "x"}, "d": [1, 2], "a.b": "dot", "n": null, "t": true}',
  '0101000000000000000000F03F0000000000000440',
]

type Flags = { readonly [name: string]: boolean }

/** The value of an expression over the row above, as it stands in the data of the object. */
async function valueOf(expression: string, edition: number, flags: Flags = {}): Promise<string> {
  const query = `SELECT id, ${expression} AS v FROM t`
  const body =
    edition === 3
      ? { streams: { s: { auto_subscribe: true, query } } }
      : { bucket_definitions: { s: { data: [query] } } }
  const config = JSON.stringify({ config: { edition, ...flags }, ...body })
  const result = await preview({
    config,
    data: { tables: { t: { columns: COLUMNS, rows: [ROW] } } },
    request: { jwt: {} },
  })
  if ('errors' in result) return 'refused'
  const [row] = result.rows
  return row === undefined ? 'row error' : row.data.slice('{"id":"1","v":'.length, -1)
}
