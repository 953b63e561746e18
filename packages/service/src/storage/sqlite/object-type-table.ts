import { strict as assert } from 'node:assert'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { NameTable } from './row-state-codec.ts'

/** The table `object_type`: a config names few tables, so all of them are kept in memory once they were met. */
export class ObjectTypeTable implements NameTable<string> {
  readonly #ids = new Map<string, number>()
  readonly #names = new Map<number, string>()
  readonly #findId: StatementSync
  readonly #findName: StatementSync
  readonly #insert: StatementSync

  constructor(writer: DatabaseSync) {
    this.#findId = writer.prepare('SELECT id FROM object_type WHERE name = ?')
    this.#findName = writer.prepare('SELECT name FROM object_type WHERE id = ?')
    this.#insert = writer.prepare('INSERT INTO object_type (name) VALUES (?) RETURNING id')
  }

  readonly idOf = (name: string): number => {
    const known = this.#ids.get(name)
    if (known !== undefined) return known
    const id = Number((this.#findId.get(name) ?? this.#insert.get(name))?.['id'])
    this.#remember(id, name)
    return id
  }

  readonly nameOf = (id: number): string => {
    const known = this.#names.get(id)
    if (known !== undefined) return known
    const row = this.#findName.get(id)
    assert(row !== undefined, `Object type ${id} is used in a row state but not in the table of types`)
    const name = String(row['name'])
    this.#remember(id, name)
    return name
  }

  /** After a rollback: numbers that were given to new names are not theirs any more. */
  forgetCached(): void {
    this.#ids.clear()
    this.#names.clear()
  }

  #remember(id: number, name: string): void {
    this.#ids.set(name, id)
    this.#names.set(id, name)
  }
}
