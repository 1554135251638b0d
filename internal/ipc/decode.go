package ipc

import (
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
)

var errShort = errors.New("it ends too early")

// decode decodes a message into what the pointer points to, which must be zero. It is
// strict: each typed value checks itself, and all bytes must be used. The bytes may be
// hostile; the work and memory that they cost are bounded by their number.
func decode(text []byte, message any) error {
	d := decoder{text}
	if err := d.value(reflect.ValueOf(message).Elem()); err != nil {
		return err
	}
	if len(d.rest) > 0 {
		return fmt.Errorf("%d bytes follow it", len(d.rest))
	}
	return nil
}

// decoder has what is not decoded yet.
type decoder struct{ rest []byte }

func (d *decoder) value(v reflect.Value) error {
	if v.Type().PkgPath() != "" {
		if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
			text, err := d.bytes()
			if err != nil {
				return err
			}
			return u.UnmarshalText(text)
		}
	}
	switch v.Kind() {
	case reflect.Bool:
		is, err := d.bool()
		v.SetBool(is)
		return err
	case reflect.Int, reflect.Int64:
		n, err := d.int()
		v.SetInt(n)
		return err
	case reflect.Uint32, reflect.Uint64:
		n, err := d.uint()
		if v.OverflowUint(n) {
			err = fmt.Errorf("%d is no %s", n, v.Type())
		}
		v.SetUint(n)
		return err
	case reflect.Float64:
		bits, err := d.take(8)
		if err == nil {
			v.SetFloat(math.Float64frombits(binary.LittleEndian.Uint64(bits)))
		}
		return err
	case reflect.String:
		text, err := d.bytes()
		v.SetString(strings.ToValidUTF8(string(text), "\uFFFD"))
		return err
	case reflect.Slice:
		return d.slice(v)
	case reflect.Pointer:
		present, err := d.bool()
		if err != nil || !present {
			return err
		}
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(v.Elem())
	case reflect.Struct:
		return d.fields(v)
	}
	return fmt.Errorf("a %s has no encoding", v.Type())
}

func (d *decoder) fields(v reflect.Value) error {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if mayBeLeftOut(field) {
			present, err := d.bool()
			if err != nil {
				return err
			}
			if !present {
				continue
			}
		}
		if err := d.value(v.Field(i)); err != nil {
			return fmt.Errorf("%s: %w", field.Name, err)
		}
	}
	return nil
}

// slice appends one element after the other, as the number of elements may be a lie.
func (d *decoder) slice(v reflect.Value) error {
	n, err := d.uint()
	if n == 0 {
		return err
	}
	n--
	if n > uint64(len(d.rest)) {
		return errShort
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		text, err := d.take(n)
		v.SetBytes(append([]byte{}, text...))
		return err
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for i := range int(n) {
		v.Grow(1)
		v.SetLen(i + 1)
		if err := d.value(v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) bytes() ([]byte, error) {
	n, err := d.uint()
	if err != nil {
		return nil, err
	}
	return d.take(n)
}

func (d *decoder) take(n uint64) ([]byte, error) {
	if n > uint64(len(d.rest)) {
		return nil, errShort
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken, nil
}

func (d *decoder) bool() (bool, error) {
	b, err := d.take(1)
	if err == nil && b[0] > 1 {
		err = fmt.Errorf("%d is neither true nor false", b[0])
	}
	return err == nil && b[0] == 1, err
}

// uint returns 0 with an error.
func (d *decoder) uint() (uint64, error) {
	n, length := binary.Uvarint(d.rest)
	return n, d.skip(length)
}

func (d *decoder) int() (int64, error) {
	n, length := binary.Varint(d.rest)
	return n, d.skip(length)
}

// skip passes over an integer of that length, which is 0 or less for a wrong one.
func (d *decoder) skip(length int) error {
	if length <= 0 {
		return errShort
	}
	d.rest = d.rest[length:]
	return nil
}
