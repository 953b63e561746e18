import { expect, test } from 'vitest'
import { createCopyBoard } from './copy-board.ts'
import { firstCopy } from './copy-state.ts'
import { discoverTables, type TableChangesParts } from './table-changes.ts'

const SHAPE = { relationOid: 7, label: 'public.todos', identityText: 'id', columnsText: 'id, n', rowsEstimated: 0 }

test('rows that an earlier run wanted removed are removed, also when columns came since', async () => {
  const board = createCopyBoard([{ ...firstCopy(SHAPE, true) }])
  const table = { oid: 7, label: 'public.todos', identityText: 'id', columnsText: 'id, n, more' }
  const markers: unknown[] = []
  const parts = {
    board,
    slot: 'slot',
    registry: {
      discover: async () => ({ added: [{ table, rowsEstimated: 0 }], gone: [], catalog: [] }),
      list: () => [table],
    },
    control: {
      query: async (_: string, [, marker]: readonly string[]) => {
        markers.push(JSON.parse(marker ?? ''))
        return [{ lsn: '0/1' }]
      },
    },
  }
  await discoverTables(parts as unknown as TableChangesParts)
  expect(markers).toEqual([{ kind: 'remove-table', slot: 'slot', relationOid: 7 }])
  expect(board.find(7)?.state).toMatchObject({ waitsForRemoval: true, columnsText: 'id, n, more' })
})
