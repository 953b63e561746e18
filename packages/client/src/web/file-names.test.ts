import { expect, test } from 'vitest'
import { namesOfDatabase } from './file-names.ts'

test('a database file gets a directory and a lock of its own', () => {
  expect(namesOfDatabase('todos.db')).toEqual({ directory: 'headwater/db-todos.db', ownerLock: 'hw:db-todos.db:owner' })
})

test('separators and dots in a file name cannot leave the directory', () => {
  expect(namesOfDatabase('../a/b').directory).toBe('headwater/db-..%2Fa%2Fb')
  expect(namesOfDatabase('..').directory).toBe('headwater/db-..')
})

test('file names that differ only after 100 bytes get different directories of at most 100 bytes', () => {
  const [first, second] = ['x', 'y'].map((end) => namesOfDatabase('é'.repeat(200) + end).directory)
  expect(first).not.toBe(second)
  expect(first?.length).toBe('headwater/'.length + 100)
})

test('a name with half a surrogate pair is still a name', () => {
  expect(namesOfDatabase('\ud800').directory).toBe('headwater/db-%EF%BF%BD')
})
