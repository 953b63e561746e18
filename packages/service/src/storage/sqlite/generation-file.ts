import { closeSync, existsSync, fsyncSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { EVERY_CLIENT } from '../delta.ts'
import { type Generation, PositionTable } from './position-table.ts'
import { migrate, PAGE_BYTES } from './schema.ts'

/**
 * Each generation is a database file of its own, `generation-<number>.sqlite`, so that what was replicated before goes
 * in one step however large it is, and its space is the disk's again. The highest number is the one in use; number 0
 * is the empty storage before the first. A file is made under another name and gets its own when it is whole.
 */
const FILE = /^generation-(\d+)\.sqlite$/

export function generationPath(directory: string, number: number): string {
  return join(directory, `generation-${number}.sqlite`)
}

/**
 * The generation that another process, which writes, has open; undefined while it opens one. A file has its log beside
 * it once it is open, and whoever reads it before would be in the way.
 */
export function findOpenGeneration(directory: string): number | undefined {
  const open = listGenerations(directory).filter((number) => existsSync(`${generationPath(directory, number)}-wal`))
  return open.length === 0 ? undefined : Math.max(...open)
}

/** The generation in use. What an interrupted start or end of another one has left is removed. */
export function findGeneration(directory: string): number {
  const numbers = listGenerations(directory)
  const newest = Math.max(0, ...numbers)
  removeDatabase(unfinishedPath(directory))
  for (const number of numbers) if (number !== newest) removeGeneration(directory, number)
  return newest
}

function listGenerations(directory: string): number[] {
  return readdirSync(directory).flatMap((name) => {
    const match = FILE.exec(name)
    return match === null ? [] : [Number(match[1])]
  })
}

/** `keepsCustom`: write checkpoints of the app's backend mean the same in the next generation. */
export type PreviousGeneration = { readonly path: string; readonly keepsCustom: boolean }

/**
 * Makes the file of a new generation: write checkpoints and the op id counter are taken over, nothing else.
 * When it returns the new file is durable, and the one in use at the next start.
 */
export function createGeneration(directory: string, generation: Generation, previous: PreviousGeneration): void {
  const path = unfinishedPath(directory)
  removeDatabase(path)
  try {
    const database = new DatabaseSync(path)
    try {
      fillGeneration(database, generation, previous)
    } finally {
      database.close()
    }
    renameSync(path, generationPath(directory, generation.number))
  } catch (error) {
    removeDatabase(path)
    throw error
  }
  syncDirectory(directory)
}

/** Durable when it returns: a file that came back could be taken for the one in use. */
export function removeGeneration(directory: string, number: number): void {
  removeDatabase(generationPath(directory, number))
  syncDirectory(directory)
}

function fillGeneration(database: DatabaseSync, generation: Generation, previous: PreviousGeneration): void {
  database.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA synchronous = EXTRA`)
  migrate(database)
  database.prepare('ATTACH ? AS previous').run(previous.path)
  const numbers = 'SELECT key, shown, pending, used_hour FROM previous.'
  database.exec(`
    BEGIN;
    INSERT INTO main.write_checkpoint (key, shown, pending, used_hour) ${numbers}write_checkpoint;
    UPDATE main.write_checkpoint SET used_hour = 0 WHERE key = '${EVERY_CLIENT}';
    UPDATE main.position SET head_op = (SELECT head_op FROM previous.position);
  `)
  if (previous.keepsCustom) {
    database.exec(`
      INSERT INTO main.custom_write_checkpoint (key, shown, pending, used_hour) ${numbers}custom_write_checkpoint
    `)
  }
  new PositionTable(database).insertGeneration(generation)
  database.exec('COMMIT')
}

function unfinishedPath(directory: string): string {
  return join(directory, 'generation-unfinished.sqlite')
}

/** The database file goes first: without it the others mean nothing. */
function removeDatabase(path: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(path + suffix, { force: true })
}

/** A rename is durable only when its directory is written. */
function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
