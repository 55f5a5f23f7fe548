// Written by the tests from acr-verifier.rules.yaml.

param location string = resourceGroup().location
@description('The resource id of the Azure Monitor workspace.')
param workspaceId string
@description('The value of the label cluster: the name of the AKS cluster.')
param clusterName string
@description('The resource id of the action group: who is told.')
param actionGroupId string

resource recording 'Microsoft.AlertsManagement/prometheusRuleGroups@2023-03-01' = {
  name: 'acr-verifier.recording.${clusterName}'
  location: location
  properties: {
    clusterName: clusterName
    enabled: true
    interval: 'PT1M'
    rules: [
      {
        enabled: true
        expression: 'max by (cluster, node, registry) (acr_verifier_check_success)'
        record: 'node_registry:acr_verifier_check_success:max'
      }
      {
        enabled: true
        expression: 'count by (cluster, registry) (node_registry:acr_verifier_check_success:max)'
        record: 'registry:acr_verifier_nodes:count'
      }
      {
        enabled: true
        expression: 'sum by (cluster, registry) (1 - node_registry:acr_verifier_check_success:max)'
        record: 'registry:acr_verifier_nodes_failing:sum'
      }
      {
        enabled: true
        expression: '(registry:acr_verifier_nodes_failing:sum == registry:acr_verifier_nodes:count) or (registry:acr_verifier_nodes_failing:sum >= 10) or ((registry:acr_verifier_nodes_failing:sum >= 2) and (registry:acr_verifier_nodes_failing:sum / registry:acr_verifier_nodes:count >= 0.2))'
        record: 'registry:acr_verifier_nodes_failing_outage:sum'
      }
      {
        enabled: true
        expression: 'sum by (cluster, registry) (rate(acr_verifier_checks_total{verdict="fail"}[5m])) / sum by (cluster, registry) (rate(acr_verifier_checks_total{verdict!="unknown"}[5m]))'
        record: 'registry:acr_verifier_checks_failed:ratio_rate5m'
      }
      {
        enabled: true
        expression: 'sum by (cluster, registry) (rate(acr_verifier_checks_total{verdict="fail"}[30m])) / sum by (cluster, registry) (rate(acr_verifier_checks_total{verdict!="unknown"}[30m]))'
        record: 'registry:acr_verifier_checks_failed:ratio_rate30m'
      }
      {
        enabled: true
        expression: 'sum by (cluster, registry) (rate(acr_verifier_checks_total{verdict="fail"}[1h])) / sum by (cluster, registry) (rate(acr_verifier_checks_total{verdict!="unknown"}[1h]))'
        record: 'registry:acr_verifier_checks_failed:ratio_rate1h'
      }
      {
        enabled: true
        expression: 'sum by (cluster, registry) (rate(acr_verifier_checks_total{verdict="fail"}[2h])) / sum by (cluster, registry) (rate(acr_verifier_checks_total{verdict!="unknown"}[2h]))'
        record: 'registry:acr_verifier_checks_failed:ratio_rate2h'
      }
      {
        enabled: true
        expression: 'sum by (cluster, registry) (rate(acr_verifier_checks_total{verdict="fail"}[6h])) / sum by (cluster, registry) (rate(acr_verifier_checks_total{verdict!="unknown"}[6h]))'
        record: 'registry:acr_verifier_checks_failed:ratio_rate6h'
      }
      {
        enabled: true
        expression: 'sum by (cluster, registry) (rate(acr_verifier_checks_total{verdict="fail"}[1d])) / sum by (cluster, registry) (rate(acr_verifier_checks_total{verdict!="unknown"}[1d]))'
        record: 'registry:acr_verifier_checks_failed:ratio_rate1d'
      }
      {
        enabled: true
        expression: 'sum by (cluster, registry) (rate(acr_verifier_checks_total{verdict="fail"}[3d])) / sum by (cluster, registry) (rate(acr_verifier_checks_total{verdict!="unknown"}[3d]))'
        record: 'registry:acr_verifier_checks_failed:ratio_rate3d'
      }
    ]
    scopes: [
      workspaceId
    ]
  }
}

resource alerts 'Microsoft.AlertsManagement/prometheusRuleGroups@2023-03-01' = {
  name: 'acr-verifier.alerts.${clusterName}'
  location: location
  properties: {
    clusterName: clusterName
    enabled: true
    interval: 'PT1M'
    rules: [
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierRegistryUnreachable'
        annotations: {
          description: '{{ $value }} nodes{{ with $labels.cluster }} of {{ . }}{{ end }} cannot pull from {{ $labels.registry }}. Look first which cause they tell: count by (cause) (acr_verifier_cause{registry="{{ $labels.registry }}"}).'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifierregistryunreachable'
          summary: 'Many nodes cannot pull from a registry.'
        }
        enabled: true
        expression: 'registry:acr_verifier_nodes_failing_outage:sum > 0'
        for: 'PT5M'
        labels: {
          severity: 'critical'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 1
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierRegistryUnreachableFromNode'
        annotations: {
          description: 'Node {{ $labels.node }} cannot pull from {{ $labels.registry }}, most others can. Run kubectl describe node {{ $labels.node }} first: an Event names the cause.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifierregistryunreachablefromnode'
          summary: 'A node cannot pull from a registry that most others can pull from.'
        }
        enabled: true
        expression: 'node_registry:acr_verifier_check_success:max == 0 unless on (cluster, registry) registry:acr_verifier_nodes_failing_outage:sum'
        for: 'PT10M'
        labels: {
          severity: 'warning'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 2
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierImageNotPullable'
        annotations: {
          description: '{{ $value }} nodes cannot pull the image {{ with $labels.image }}{{ . }}{{ else }}without a name{{ end }} from {{ $labels.registry }}, and can pull another one. Look first whether its repository, tag and platform are there.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifierimagenotpullable'
          summary: 'An image cannot be pulled from a registry that serves others.'
        }
        enabled: true
        expression: 'count by (cluster, registry, image) (max by (cluster, node, registry, image) (acr_verifier_check_success) == 0 and on (cluster, node, registry) node_registry:acr_verifier_check_success:max == 1)'
        for: 'PT10M'
        labels: {
          severity: 'warning'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 2
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierPublicPathInUse'
        annotations: {
          description: 'On {{ $value }} nodes pulls from {{ $labels.registry }} leave the private network, or would leave it. Look first whether the private DNS zone is linked to the VNet of the nodes and whether the data endpoint is enabled.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifierpublicpathinuse'
          summary: 'Pulls leave the private network, or would leave it.'
        }
        enabled: true
        expression: 'count by (cluster, registry) (max by (cluster, node, registry) (acr_verifier_cause{cause=~"private_zone_not_linked|no_private_endpoint|mixed_addresses|data_endpoint_disabled"} or acr_verifier_dns_answers{resolver="system",scope="public"} > 0))'
        for: 'PT5M'
        labels: {
          severity: 'critical'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 1
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierDataPathBroken'
        annotations: {
          description: 'On {{ $value }} nodes the layers of {{ $labels.registry }} cannot be fetched from its data endpoint. Resolve REGISTRY.REGION.data.azurecr.io from such a node first.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifierdatapathbroken'
          summary: 'Manifests come and layers do not.'
        }
        enabled: true
        expression: 'count by (cluster, registry) (min by (cluster, node, registry) (acr_verifier_stage_success{endpoint="data"} or acr_verifier_stage_success{stage="blob"}) == 0)'
        for: 'PT10M'
        labels: {
          severity: 'warning'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 2
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierCredentialsRejected'
        annotations: {
          description: 'On {{ $value }} nodes the credentials for {{ $labels.registry }} are missing, unreadable, refused or without the right to pull. Look first at the Secret that the agent mounts.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifiercredentialsrejected'
          summary: 'A registry does not accept the credentials.'
        }
        enabled: true
        expression: 'count by (cluster, registry) (max by (cluster, node, registry) (acr_verifier_cause{cause=~"credentials_missing|credentials_invalid|credentials_rejected|token_refused|scope_missing"}))'
        for: 'PT10M'
        labels: {
          severity: 'warning'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 2
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierCredentialsExpiring'
        annotations: {
          description: 'The credentials for {{ $labels.registry }} end in {{ $value | humanizeDuration }}. Renew the password and the Secret first.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifiercredentialsexpiring'
          summary: 'Credentials end within 14 days.'
        }
        enabled: true
        expression: 'min by (cluster, registry) (acr_verifier_credentials_expiry_timestamp_seconds) - time() < 14 * 86400'
        for: 'PT1H'
        labels: {
          severity: 'warning'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 2
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierCertificateExpiring'
        annotations: {
          description: 'The certificate of the {{ $labels.endpoint }} endpoint of {{ $labels.registry }} ends in {{ $value | humanizeDuration }}. Look first who issued it: a device that inspects TLS has its own.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifiercertificateexpiring'
          summary: 'A certificate ends within 14 days.'
        }
        enabled: true
        expression: 'min by (cluster, registry, endpoint) (acr_verifier_tls_certificate_expiry_timestamp_seconds) - time() < 14 * 86400'
        for: 'PT1H'
        labels: {
          severity: 'warning'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 2
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierResolversDisagree'
        annotations: {
          description: 'On {{ $value }} nodes resolvers give different answers about {{ $labels.registry }}. Ask each nameserver with dig first.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifierresolversdisagree'
          summary: 'Resolvers answer differently about a registry.'
        }
        enabled: true
        expression: 'count by (cluster, registry) (max by (cluster, node, registry) (acr_verifier_dns_resolvers_disagree) == 1)'
        for: 'PT15M'
        labels: {
          severity: 'warning'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 2
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierChecksStale'
        annotations: {
          description: 'The last check of {{ $labels.registry }} on node {{ $labels.node }} was {{ $value | humanizeDuration }} ago. Look first at the log of the agent on that node.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifierchecksstale'
          summary: 'An agent runs and checks nothing.'
        }
        enabled: true
        expression: 'time() - max by (cluster, node, registry) (acr_verifier_last_check_timestamp_seconds) > 1800'
        for: 'PT10M'
        labels: {
          severity: 'warning'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 2
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierAgentAbsent'
        annotations: {
          description: 'Nothing checks registries on node {{ $labels.node }}. Look first whether a pod of the agent is scheduled there and is scraped.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifieragentabsent'
          summary: 'A node has no agent that tells of a check.'
        }
        enabled: true
        expression: 'max by (cluster, node) (kube_node_info{node!~"virtual-.+",kubelet_version!~".*-vk-.*",os_image!~"Windows.*"}) unless on (cluster, node) acr_verifier_last_check_timestamp_seconds and on (cluster) acr_verifier_last_check_timestamp_seconds'
        for: 'PT15M'
        labels: {
          severity: 'warning'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 2
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierAllAgentsAbsent'
        annotations: {
          description: 'Nothing checks registries on any of {{ $value }} nodes{{ with $labels.cluster }} of {{ . }}{{ end }}. Look first whether the pods of the agent run, then whether they are scraped.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifierallagentsabsent'
          summary: 'No agent of the cluster tells of a check.'
        }
        enabled: true
        expression: 'count by (cluster) (max by (cluster, node) (kube_node_info{node!~"virtual-.+",kubelet_version!~".*-vk-.*",os_image!~"Windows.*"})) unless on (cluster) acr_verifier_last_check_timestamp_seconds and on (cluster) (last_over_time(acr_verifier_last_check_timestamp_seconds[1d]) or kube_daemonset_status_desired_number_scheduled{daemonset=~"(.+-)?acr-verifier"})'
        for: 'PT15M'
        labels: {
          severity: 'warning'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 2
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierAgentCannotStart'
        annotations: {
          description: '{{ $value }} agents in namespace {{ $labels.namespace }} wait with {{ $labels.reason }}. Run kubectl describe pod on one of them first.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifieragentcannotstart'
          summary: 'Agents cannot start.'
        }
        enabled: true
        expression: 'count by (cluster, namespace, reason) (max by (cluster, namespace, pod, reason) (kube_pod_container_status_waiting_reason{container="agent",pod=~"(.+-)?acr-verifier-.+",reason=~"CrashLoopBackOff|CreateContainerConfigError|CreateContainerError|ErrImagePull|ImagePullBackOff|InvalidImageName"}) == 1)'
        for: 'PT15M'
        labels: {
          severity: 'warning'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 2
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierConfigurationReloadFailed'
        annotations: {
          description: '{{ $value }} agents refused the configuration that they read last and go on with the older one. Their log says which key is wrong.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifierconfigurationreloadfailed'
          summary: 'Agents run with an older configuration.'
        }
        enabled: true
        expression: 'count by (cluster) (max by (cluster, node) (acr_verifier_config_last_reload_successful) == 0)'
        for: 'PT10M'
        labels: {
          severity: 'warning'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 2
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierEventsNotPublished'
        annotations: {
          description: 'About {{ $value | humanize }} Events could not be published in 30 minutes. Look first at the RoleBinding of the agent in namespace default.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifiereventsnotpublished'
          summary: 'Kubernetes Events could not be published.'
        }
        enabled: true
        expression: 'sum by (cluster) (increase(acr_verifier_events_total{result="failed"}[30m])) > 0'
        for: 'PT15M'
        labels: {
          severity: 'info'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 3
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierChecksInconclusive'
        annotations: {
          description: '{{ $value | humanizePercentage }} of the checks of {{ $labels.registry }} could not be judged. Look first whether the registry throttles: the cause is then throttled.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifierchecksinconclusive'
          summary: 'Many checks end without a judgement.'
        }
        enabled: true
        expression: 'sum by (cluster, registry) (rate(acr_verifier_checks_total{verdict="unknown"}[15m])) / sum by (cluster, registry) (rate(acr_verifier_checks_total[15m])) > 0.2'
        for: 'PT15M'
        labels: {
          severity: 'warning'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 2
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierErrorBudgetBurn1h'
        annotations: {
          description: '{{ $value | humanizePercentage }} of the checks of {{ $labels.registry }} failed in the last hour; 1 % is the budget. Look first which nodes fail and with which cause.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifiererrorbudgetburn1h'
          summary: 'The error budget of 30 days would be gone in two days.'
        }
        enabled: true
        expression: '(registry:acr_verifier_checks_failed:ratio_rate1h > 14.4 * 0.01 and registry:acr_verifier_checks_failed:ratio_rate5m > 14.4 * 0.01) unless on (cluster, registry) max_over_time(registry:acr_verifier_nodes_failing_outage:sum[15m])'
        for: 'PT2M'
        labels: {
          severity: 'critical'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 1
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierErrorBudgetBurn6h'
        annotations: {
          description: '{{ $value | humanizePercentage }} of the checks of {{ $labels.registry }} failed in the last 6 hours; 1 % is the budget. Look first which nodes fail and with which cause.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifiererrorbudgetburn6h'
          summary: 'The error budget of 30 days would be gone in five days.'
        }
        enabled: true
        expression: '(registry:acr_verifier_checks_failed:ratio_rate6h > 6 * 0.01 and registry:acr_verifier_checks_failed:ratio_rate30m > 6 * 0.01) unless on (cluster, registry) max_over_time(registry:acr_verifier_nodes_failing_outage:sum[1h])'
        for: 'PT15M'
        labels: {
          severity: 'critical'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 1
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierErrorBudgetBurn1d'
        annotations: {
          description: '{{ $value | humanizePercentage }} of the checks of {{ $labels.registry }} failed in the last day; 1 % is the budget. Look first which nodes fail again and again.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifiererrorbudgetburn1d'
          summary: 'The error budget of 30 days would be gone in ten days.'
        }
        enabled: true
        expression: 'registry:acr_verifier_checks_failed:ratio_rate1d > 3 * 0.01 and registry:acr_verifier_checks_failed:ratio_rate2h > 3 * 0.01'
        for: 'PT1H'
        labels: {
          severity: 'warning'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 2
      }
      {
        actions: [
          {
            actionGroupId: actionGroupId
          }
        ]
        alert: 'AcrVerifierErrorBudgetBurn3d'
        annotations: {
          description: '{{ $value | humanizePercentage }} of the checks of {{ $labels.registry }} failed in the last 3 days; 1 % is the budget. Look first which nodes fail again and again.'
          runbook_url: 'https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md#acrverifiererrorbudgetburn3d'
          summary: 'The error budget of 30 days is being used up.'
        }
        enabled: true
        expression: 'registry:acr_verifier_checks_failed:ratio_rate3d > 0.01 and registry:acr_verifier_checks_failed:ratio_rate6h > 0.01'
        for: 'PT3H'
        labels: {
          severity: 'warning'
        }
        resolveConfiguration: {
          autoResolved: true
          timeToResolve: 'PT10M'
        }
        severity: 2
      }
    ]
    scopes: [
      workspaceId
    ]
  }
}
