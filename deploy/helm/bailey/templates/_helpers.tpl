{{- define "bailey.labels" -}}
app.kubernetes.io/name: bailey
app.kubernetes.io/component: {{ . }}
{{- end }}

{{- /* An image: (list $ "hub"). */}}
{{- define "bailey.image" -}}
{{- $values := (index . 0).Values -}}
{{- with $values.image.registry }}{{ trimSuffix "/" . }}/{{ end }}bailey-{{ index . 1 }}:{{ $values.image.tag | default (index . 0).Chart.AppVersion }}
{{- end }}

{{- /* What every container and pod has of .Values.image besides its name. */}}
{{- define "bailey.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Where enforcers find the hub. */}}
{{- define "bailey.hubs" -}}
{{- if .Values.enforcer.hubs }}
{{- join "," .Values.enforcer.hubs }}
{{- else }}
{{- printf "https://bailey-hub.%s.svc:7443" .Release.Namespace }}
{{- end }}
{{- end }}

{{- /* The ranges of pods as the hub takes them: cluster-a=10.1.0.0/16,cluster-a=fd00:1::/48 */}}
{{- define "bailey.podCidrs" -}}
{{- $ranges := list }}
{{- range $id, $cidrs := .Values.hub.podCidrs }}
{{- range $cidrs }}{{ $ranges = append $ranges (printf "%s=%s" $id .) }}{{ end }}
{{- end }}
{{- join "," $ranges }}
{{- end }}
