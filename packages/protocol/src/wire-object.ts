import { type ErrorCode, HeadwaterError } from './errors.ts'

/** A JSON object from outside whose fields are taken out one by one, each checked. Throws the given code. */
export class WireObject {
  readonly #fields: object
  readonly #what: string
  readonly #code: ErrorCode

  /** `what` names the thing in messages: `checkpoint.buckets[3]`. */
  constructor(value: unknown, what: string, code: ErrorCode) {
    this.#what = what
    this.#code = code
    if (!isObject(value)) throw this.#bad('an object', value)
    this.#fields = value
  }

  names(): readonly string[] {
    return Object.keys(this.#fields)
  }

  /** False for null too: where a field may be left out, null says the same. */
  has(name: string): boolean {
    const value = this.#read(name)
    return value !== undefined && value !== null
  }

  is(name: string, value: string): boolean {
    return this.#read(name) === value
  }

  string(name: string): string {
    const value = this.#read(name)
    if (typeof value !== 'string') throw this.#bad('text', value, name)
    return value
  }

  boolean(name: string): boolean {
    const value = this.#read(name)
    if (typeof value !== 'boolean') throw this.#bad('true or false', value, name)
    return value
  }

  integer(name: string): number {
    const value = this.#read(name)
    if (!Number.isSafeInteger(value)) throw this.#bad('a whole number', value, name)
    return Number(value)
  }

  /** Undefined for anything else than a whole number. */
  findInteger(name: string): number | undefined {
    const value = this.#read(name)
    return Number.isSafeInteger(value) ? Number(value) : undefined
  }

  /** Undefined for anything else than an object. */
  findObject(name: string): WireObject | undefined {
    return isObject(this.#read(name)) ? this.object(name) : undefined
  }

  object(name: string): WireObject {
    return new WireObject(this.#read(name), this.#path(name), this.#code)
  }

  objects(name: string): readonly WireObject[] {
    return this.#array(name).map((item, index) => new WireObject(item, `${this.#path(name)}[${index}]`, this.#code))
  }

  strings(name: string): readonly string[] {
    return this.#array(name).map((item, index) => {
      if (typeof item !== 'string') throw this.#bad('text', item, `${name}[${index}]`)
      return item
    })
  }

  #array(name: string): readonly unknown[] {
    const value = this.#read(name)
    if (!Array.isArray(value)) throw this.#bad('an array', value, name)
    return value
  }

  #read(name: string): unknown {
    return Object.hasOwn(this.#fields, name) ? Reflect.get(this.#fields, name) : undefined
  }

  #path(name: string): string {
    return `${this.#what}.${name}`
  }

  #bad(expected: string, value: unknown, name?: string): HeadwaterError {
    const path = name === undefined ? this.#what : this.#path(name)
    return new HeadwaterError(this.#code, `Cannot read ${path}: expected ${expected}, got ${quote(value)}`)
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function quote(value: unknown): string {
  return value === undefined
    ? 'nothing'
    : (
        JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part)) ?? typeof value
      ).slice(0, 80)
}
