package ipc

import (
	"encoding"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"strings"
)

// Messages are encoded by their Go types, field after field, as both programs are built
// from the same ones (Version). encoding/json would first examine all types of a request,
// also those that it does not contain: 0.4 ms in each program and stage.
//
//	bool             one byte, 0 or 1
//	integers         a variable-length integer of encoding/binary, zigzag if signed
//	floats           8 bytes, IEEE 754, little endian
//	strings, bytes   their length, and the bytes
//	slices           the number of elements plus 1, and these; 0 for nil
//	pointers         1 and what they point to; 0 for nil
//	structs          their fields in order
//
// A type that has a textual form (encoding.TextMarshaler) is that string. A field whose
// tag has omitempty or omitzero begins with one byte: 0 if it is left out.

// encode returns the encoding of a message.
func encode(message any) ([]byte, error) {
	return appendValue(make([]byte, 0, 1024), reflect.ValueOf(message))
}

func appendValue(b []byte, v reflect.Value) ([]byte, error) {
	if v.Kind() != reflect.Pointer && v.Type().NumMethod() > 0 {
		if m, ok := v.Interface().(encoding.TextMarshaler); ok {
			text, err := m.MarshalText()
			return appendBytes(b, text), err
		}
	}
	switch v.Kind() {
	case reflect.Bool:
		return appendBool(b, v.Bool()), nil
	case reflect.Int, reflect.Int64:
		return binary.AppendVarint(b, v.Int()), nil
	case reflect.Uint32, reflect.Uint64:
		return binary.AppendUvarint(b, v.Uint()), nil
	case reflect.Float64:
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(v.Float())), nil
	case reflect.String:
		return appendBytes(b, v.String()), nil
	case reflect.Slice:
		return appendSlice(b, v)
	case reflect.Pointer:
		if b = appendBool(b, !v.IsNil()); v.IsNil() {
			return b, nil
		}
		return appendValue(b, v.Elem())
	case reflect.Struct:
		return appendStruct(b, v)
	}
	return nil, fmt.Errorf("a %s has no encoding", v.Type())
}

func appendStruct(b []byte, v reflect.Value) (_ []byte, err error) {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		if !field.IsExported() {
			return nil, fmt.Errorf("the field %s of a %s has no encoding", field.Name, v.Type())
		}
		if mayBeLeftOut(field) {
			present := !value.IsZero() && (value.Kind() != reflect.Slice || value.Len() > 0)
			if b = appendBool(b, present); !present {
				continue
			}
		}
		if b, err = appendValue(b, value); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func mayBeLeftOut(field reflect.StructField) bool {
	return strings.Contains(string(field.Tag), ",omit")
}

func appendSlice(b []byte, v reflect.Value) (_ []byte, err error) {
	if v.IsNil() {
		return append(b, 0), nil
	}
	b = binary.AppendUvarint(b, uint64(v.Len())+1)
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return append(b, v.Bytes()...), nil
	}
	for i := range v.Len() {
		if b, err = appendValue(b, v.Index(i)); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func appendBytes[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}
