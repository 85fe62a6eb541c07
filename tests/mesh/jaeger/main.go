// Command jaeger decodes what an agent answers with the types that Jaeger itself publishes, strictly: a field that
// they do not know, or of another type, is an error. It reads one document from standard input and prints what it
// understood, for the test to compare.
//
//	jaeger traces|services|names|operations|dependencies|error   Jaeger's UI model (model/json)
//	jaeger otlp|v3                                               OTLP JSON (collector's pdata), bare or in "result"
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	ui "github.com/jaegertracing/jaeger/model/json"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// response is the envelope of Jaeger's query service, which publishes no type for it.
type response[T any] struct {
	Data   T      `json:"data"`
	Total  int    `json:"total"`
	Limit  int    `json:"limit"`
	Offset int    `json:"offset"`
	Errors []item `json:"errors"`
}

type item struct {
	Code    int        `json:"code,omitempty"`
	Msg     string     `json:"msg"`
	TraceID ui.TraceID `json:"traceID,omitempty"`
}

func decode[T any](text []byte) (any, error) {
	var into response[T]
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&into)
	return into, err
}

// spans counts the spans of each trace.
func spans(text []byte) (any, error) {
	var unmarshaler ptrace.JSONUnmarshaler
	traces, err := unmarshaler.UnmarshalTraces(text)
	counts := map[string]int{}
	if err != nil {
		return nil, err
	}
	for i := 0; i < traces.ResourceSpans().Len(); i++ {
		scopes := traces.ResourceSpans().At(i).ScopeSpans()
		for j := 0; j < scopes.Len(); j++ {
			for k := 0; k < scopes.At(j).Spans().Len(); k++ {
				counts[scopes.At(j).Spans().At(k).TraceID().String()]++
			}
		}
	}
	return counts, nil
}

func wrapped(text []byte) (any, error) {
	var into struct {
		Result json.RawMessage `json:"result"`
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&into); err != nil {
		return nil, err
	}
	return spans(into.Result)
}

var kinds = map[string]func([]byte) (any, error){
	"traces":       decode[[]ui.Trace],
	"services":     decode[[]string],
	"names":        decode[[]string],
	"operations":   decode[[]ui.Operation],
	"dependencies": decode[[]ui.DependencyLink],
	"error":        decode[any],
	"otlp":         spans,
	"v3":           wrapped,
}

func run() error {
	if len(os.Args) != 2 || kinds[os.Args[1]] == nil {
		return fmt.Errorf("usage: jaeger KIND < document")
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	understood, err := kinds[os.Args[1]](text)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(understood)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
