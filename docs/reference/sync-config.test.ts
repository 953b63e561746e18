import { readFileSync } from 'node:fs'
import {
  compileSyncConfig,
  preview,
  type PreviewData,
  type PreviewRequest,
  type PreviewRow,
} from '@headwater/sync-config'
import { expect, test } from 'vitest'

type Example = { readonly data: PreviewData; readonly request: PreviewRequest; readonly rows: readonly PreviewRow[] }

const PAGE = readFileSync(new URL('sync-config.md', import.meta.url), 'utf8')
const BLOCK = /^```(\S+)(?: (\S+))?\n(.*?)^```$/gms
const BLOCKS = Array.from(PAGE.matchAll(BLOCK), ([, language, use, text = '']) => ({ language, use, text }))

/** Blocks of one kind, each with the YAML block before it. */
function examples(isResult: (block: (typeof BLOCKS)[number]) => boolean): readonly (readonly [string, string])[] {
  return BLOCKS.flatMap((block, index) => {
    const config = BLOCKS[index - 1]
    return isResult(block) && config?.language === 'yaml' ? [[config.text, block.text] as const] : []
  })
}

const GRANTED = examples(({ use }) => use === 'preview')
const REFUSED = examples(({ language }) => language === 'text')

test('the page has examples', () => {
  expect([GRANTED.length, REFUSED.length]).toEqual([3, 1])
})

test.each(GRANTED)('an example gives the rows that the page says: %s', async (config, text) => {
  const { data, request, rows } = JSON.parse(text) as Example
  expect(await preview({ config, data, request })).toEqual({ rows, streamErrors: [], warnings: [] })
})

test.each(REFUSED)('a refused example gives the messages that the page says: %s', (config, text) => {
  const said = compileSyncConfig(config).diagnostics.map(({ line, column, message }) => `${line}:${column} ${message}`)
  expect(said).toEqual(text.trimEnd().split('\n'))
})
