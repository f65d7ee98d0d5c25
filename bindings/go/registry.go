package wtgram

// #include "bridge.h"
import "C"

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"sync"
)

// Registry maps Go types to type ids; both sides must use the same ids. A structured transport
// copies it when it is opened.
type Registry struct {
	mu sync.Mutex
	registered
}

type registered struct {
	byID   map[uint16]*objectType
	byType map[reflect.Type]*objectType
}

type objectType struct {
	id       uint16
	goType   reflect.Type
	maxBytes uint64
}

// NewRegistry creates an empty registry.
func NewRegistry() *Registry {
	return &Registry{registered: registered{make(map[uint16]*objectType), make(map[reflect.Type]*objectType)}}
}

// Register gives type T an id. Structured.Receive returns values of exactly T. So register *T if
// the values are pointers, as protobuf messages are.
func Register[T any](registry *Registry, id uint16) error { return RegisterLimited[T](registry, id, 0) }

// RegisterLimited is Register with a limit of the encoded size in bytes, for sending and receiving.
// 0 means no limit other than the path's.
func RegisterLimited[T any](registry *Registry, id uint16, maxBytes uint64) error {
	goType := reflect.TypeFor[T]()
	if goType.Kind() == reflect.Interface {
		return fmt.Errorf("%w: %v is an interface: values have the types that implement it", ErrInvalidArgument, goType)
	}
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if other := registry.byID[id]; other != nil {
		return fmt.Errorf("%w: id %d is that of %v", ErrInvalidArgument, id, other.goType)
	}
	if other := registry.byType[goType]; other != nil {
		return fmt.Errorf("%w: %v has the id %d", ErrInvalidArgument, goType, other.id)
	}
	one := &objectType{id, goType, maxBytes}
	registry.byID[id], registry.byType[goType] = one, one
	return nil
}

func (r *Registry) snapshot() registered {
	r.mu.Lock()
	defer r.mu.Unlock()
	return registered{maps.Clone(r.byID), maps.Clone(r.byType)}
}

// of returns the type of a value, and the pointer that the codec gets. Decoding uses pointers, too.
func (r *registered) of(value any) (*objectType, any) {
	goType := reflect.TypeOf(value)
	if goType == nil {
		return nil, nil
	}
	if one := r.byType[goType]; one != nil {
		if goType.Kind() == reflect.Pointer {
			return one, value
		}
		copied := reflect.New(goType)
		copied.Elem().Set(reflect.ValueOf(value))
		return one, copied.Interface()
	}
	if goType.Kind() == reflect.Pointer {
		if one := r.byType[goType.Elem()]; one != nil {
			return one, value
		}
	}
	return nil, nil
}

func (t *objectType) decode(codec Codec, data []byte) (any, error) {
	if t.goType.Kind() == reflect.Pointer {
		value := reflect.New(t.goType.Elem()).Interface()
		return value, codec.Unmarshal(data, value)
	}
	value := reflect.New(t.goType)
	err := codec.Unmarshal(data, value.Interface())
	return value.Elem().Interface(), err
}

// Codec converts a value, which is always a pointer, to bytes and back. Many goroutines may call it
// at once.
type Codec interface {
	Marshal(value any) ([]byte, error)
	Unmarshal(data []byte, value any) error
}

// libraryCodec is a codec whose wire format the library makes from JSON text.
type libraryCodec C.wtgram_serializer_kind

var (
	// JSON sends JSON text as encoding/json makes it.
	JSON Codec = libraryCodec(C.WTGRAM_SERIALIZER_JSON)
	// MessagePack sends MessagePack. In Go, encoding/json converts the values, with its tags. So
	// []byte is a base64 string, also on the wire.
	MessagePack Codec = libraryCodec(C.WTGRAM_SERIALIZER_MESSAGE_PACK)
	// Messages sends what the values' own methods encode. It is for types that implement Message.
	Messages Codec = messageCodec{}
)

func (libraryCodec) Marshal(value any) ([]byte, error)      { return json.Marshal(value) }
func (libraryCodec) Unmarshal(data []byte, value any) error { return json.Unmarshal(data, value) }

// Message is a value that marshals itself. Several protobuf compilers generate such types. For
// other types, use CodecFuncs:
//
//	wtgram.CodecFuncs(
//		func(value any) ([]byte, error) { return proto.Marshal(value.(proto.Message)) },
//		func(data []byte, value any) error { return proto.Unmarshal(data, value.(proto.Message)) })
type Message interface {
	Marshal() ([]byte, error)
	Unmarshal(data []byte) error
}

var errNoMessage = errors.New("does not implement wtgram.Message")

type messageCodec struct{}

func (messageCodec) Marshal(value any) ([]byte, error) {
	message, ok := value.(Message)
	if !ok {
		return nil, fmt.Errorf("%T %w", value, errNoMessage)
	}
	return message.Marshal()
}

func (messageCodec) Unmarshal(data []byte, value any) error {
	message, ok := value.(Message)
	if !ok {
		return fmt.Errorf("%T %w", value, errNoMessage)
	}
	return message.Unmarshal(data)
}

// CodecFuncs returns a Codec that calls these two functions.
func CodecFuncs(marshal func(value any) ([]byte, error), unmarshal func(data []byte, value any) error) Codec {
	return codecFuncs{marshal, unmarshal}
}

type codecFuncs struct {
	marshal   func(value any) ([]byte, error)
	unmarshal func(data []byte, value any) error
}

func (c codecFuncs) Marshal(value any) ([]byte, error)      { return c.marshal(value) }
func (c codecFuncs) Unmarshal(data []byte, value any) error { return c.unmarshal(data, value) }
