import { add, bitAnd, bitOr, divide, multiply, remainder, shiftLeft, shiftRight, subtract } from './arithmetic.ts'
import { castBlob, castInteger, castNumeric, castReal, castText } from './casts.ts'
import { datetime, unixepoch } from './dates.ts'
import type { Functions } from './functions.ts'
import type { ExtensionName } from './signatures.ts'
import { stAsGeoJson, stAsText, stX, stY } from './geometry-functions.ts'
import { jsonElements, jsonElementsIfArray } from './json-elements.ts'
import {
  arrow,
  doubleArrow,
  jsonArrayLength,
  jsonExtract,
  jsonKeys,
  type JsonStyle,
  jsonValid,
} from './json-functions.ts'
import { between, inJson, inList } from './membership.ts'
import { isTrue } from '../values/value.ts'
import { base64, concatenate, hex, instr, length, lower, substring, typeOf, upper, uuidBlob } from './text-functions.ts'

/** An argument that is missing, as older editions allow, is NULL where nothing else is said; more than there are do not matter. */
export function defaultFunctions(style: JsonStyle): Omit<Functions, ExtensionName> {
  return {
    '+': add,
    '-': subtract,
    '*': multiply,
    '/': divide,
    '%': remainder,
    '&': bitAnd,
    '|': bitOr,
    '<<': shiftLeft,
    '>>': shiftRight,
    '||': concatenate,
    '->': arrow(style),
    '->>': doubleArrow(style),
    base64,
    between,
    cast_blob: (x = null) => castBlob(x),
    cast_integer: (x = null) => castInteger(x),
    cast_numeric: (x = null) => castNumeric(x),
    cast_real: (x = null) => castReal(x),
    cast_text: (x = null) => castText(x),
    datetime,
    hex,
    // Where an expression calls these two, only the argument that they give is evaluated.
    ifnull: (x = null, y = null) => x ?? y,
    iif: (condition = null, x = null, y = null) => (isTrue(condition) ? x : y),
    in_json: inJson(style),
    in_list: inList,
    instr,
    json_array_length: jsonArrayLength(style),
    json_elements: jsonElements,
    json_elements_if_array: jsonElementsIfArray,
    json_extract: jsonExtract(style),
    json_keys: jsonKeys,
    json_valid: jsonValid,
    length,
    lower,
    st_asgeojson: stAsGeoJson,
    st_astext: stAsText,
    st_x: stX,
    st_y: stY,
    substring,
    typeof: typeOf,
    unixepoch,
    upper,
    uuid_blob: uuidBlob,
  }
}
