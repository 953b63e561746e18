/** How many arguments a function of a sync config takes. */
export type Signature = { readonly min: number; readonly max: number }

/** Of functions that pass over what comes behind the arguments they know. */
const ARGUMENTS_MAX = 100

/** What queries can call by name. All are deterministic: none knows the time or draws at random. */
export const SCALAR_FUNCTIONS = {
  base64: { min: 1, max: 1 },
  datetime: { min: 1, max: 3 },
  hex: { min: 1, max: 1 },
  ifnull: { min: 2, max: ARGUMENTS_MAX },
  iif: { min: 3, max: 3 },
  instr: { min: 2, max: 2 },
  json_array_length: { min: 1, max: 2 },
  json_extract: { min: 2, max: ARGUMENTS_MAX },
  json_keys: { min: 1, max: 1 },
  json_valid: { min: 1, max: 1 },
  length: { min: 1, max: 1 },
  lower: { min: 1, max: 1 },
  st_asgeojson: { min: 1, max: 1 },
  st_astext: { min: 1, max: 1 },
  st_x: { min: 1, max: 1 },
  st_y: { min: 1, max: 1 },
  substring: { min: 2, max: 3 },
  typeof: { min: 1, max: 1 },
  unixepoch: { min: 1, max: 3 },
  upper: { min: 1, max: 1 },
  uuid_blob: { min: 1, max: 1 },
} as const satisfies { readonly [name: string]: Signature }

/** What queries can call besides where extensions are on. `coalesce` is `ifnull` of more than two. */
export const EXTENSION_FUNCTIONS = {
  abs: { min: 1, max: 1 },
  coalesce: { min: 2, max: ARGUMENTS_MAX },
  date: { min: 1, max: 3 },
  ltrim: { min: 1, max: 2 },
  nullif: { min: 2, max: 2 },
  replace: { min: 3, max: 3 },
  round: { min: 1, max: 2 },
  rtrim: { min: 1, max: 2 },
  strftime: { min: 2, max: 4 },
  substr: { min: 2, max: 3 },
  time: { min: 1, max: 3 },
  trim: { min: 1, max: 2 },
} as const satisfies { readonly [name: string]: Signature }

/** Types that CAST knows. */
export const CAST_TYPES = ['text', 'numeric', 'integer', 'real', 'blob'] as const

/** Operators that give a value and, unlike AND and =, are nothing but functions of their sides. */
export const OPERATORS = ['+', '-', '*', '/', '%', '&', '|', '<<', '>>', '||', '->', '->>'] as const

/** Functions of the plan that only extensions lead to. */
export type ExtensionName = Exclude<keyof typeof EXTENSION_FUNCTIONS, 'coalesce'> | 'like'
export type CastType = (typeof CAST_TYPES)[number]
export type Operator = (typeof OPERATORS)[number]

/**
 * What a `call` of the plan names. `like(x, pattern, escape)`, the escape left out where there is none. `between(x, low, high)`; `in_list(x, a, b, …)` of `x IN ARRAY[a, b]`;
 * `in_json(x, array)` of `x IN array`, the array as JSON text. `json_elements(array)` is the array with only what can
 * equal a value: without NULLs, arrays and objects inside it as text; what is not an array is an error.
 * `json_elements_if_array` gives NULL instead of the error.
 */
export type FunctionName =
  | keyof typeof SCALAR_FUNCTIONS
  | ExtensionName
  | Operator
  | `cast_${CastType}`
  | 'between'
  | 'in_list'
  | 'in_json'
  | 'json_elements'
  | 'json_elements_if_array'

export function isExtensionFunction(name: string): name is keyof typeof EXTENSION_FUNCTIONS {
  return Object.hasOwn(EXTENSION_FUNCTIONS, name)
}

export function isScalarFunction(name: string): name is keyof typeof SCALAR_FUNCTIONS {
  return Object.hasOwn(SCALAR_FUNCTIONS, name)
}
