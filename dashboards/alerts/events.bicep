// A log alert on the agent's Kubernetes Events, which Container Insights keeps in the table KubeEvents. For clusters without
// Prometheus, or in addition to it: see dashboards/logs.md.

param location string = resourceGroup().location
@description('Resource ID of the Log Analytics workspace with the table KubeEvents, of one or more clusters.')
param workspaceId string
@description('Resource ID of the action group that receives the alerts.')
param actionGroupId string
@description('Whether Container Insights collects Normal events (collect_all_kube_events), so that a recovery resolves the alert.')
param collectsNormalEvents bool = false
@description('How many nodes of a cluster have to fail for the same cause.')
@minValue(1)
param minimumNodes int = 1
@description('Severity of the alert, from 0 (critical) to 4.')
@minValue(0)
@maxValue(4)
param severity int = 2

// The last Event of each image on each node, if it is a failure.
var currentFailures = '''
KubeEvents
| where ObjectKind == "Node" and (Message has "Checked from the" or Message has "over the private path")
| extend Image = extract(@"^(\S+?):? ", 1, Message)
| summarize arg_max(TimeGenerated, KubeEventType, Reason) by _ResourceId, ClusterName, Name, Image
| where KubeEventType == "Warning"
| summarize Nodes = dcount(Name) by _ResourceId, ClusterName, Reason
'''

// Without Normal events a recovery is not visible: every failure that is new in the window counts.
var newFailures = '''
KubeEvents
| where ObjectKind == "Node" and KubeEventType == "Warning" and Message has "Checked from the"
| summarize Nodes = dcount(Name) by _ResourceId, ClusterName, Reason
'''

resource events 'Microsoft.Insights/scheduledQueryRules@2021-08-01' = {
  name: 'acr-verifier-events'
  location: location
  kind: 'LogAlert'
  properties: {
    displayName: 'Nodes cannot pull from a container registry'
    description: 'acr-verifier reported the cause in the dimension Reason as an Event of the nodes. Look it up in dashboards/runbook.md.'
    enabled: true
    severity: severity
    scopes: [
      workspaceId
    ]
    evaluationFrequency: 'PT15M'
    windowSize: collectsNormalEvents ? 'P1D' : 'PT15M'
    autoMitigate: collectsNormalEvents
    // The table exists only once Container Insights has written to it.
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: collectsNormalEvents ? currentFailures : newFailures
          timeAggregation: 'Maximum'
          metricMeasureColumn: 'Nodes'
          resourceIdColumn: '_ResourceId'
          dimensions: [
            {
              name: 'ClusterName'
              operator: 'Include'
              values: [
                '*'
              ]
            }
            {
              name: 'Reason'
              operator: 'Include'
              values: [
                '*'
              ]
            }
          ]
          operator: 'GreaterThanOrEqual'
          threshold: minimumNodes
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: [
        actionGroupId
      ]
    }
  }
}
